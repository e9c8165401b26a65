package redisstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// patient is longer than any call may take, even on slow machines.
const patient = 20 * time.Second

// When a server hangs, a few calls wait for their timeout; then calls are refused at
// once until the server answers again.
func TestServerHangs(t *testing.T) {
	t.Parallel()
	for consistency, strict := range map[string]bool{"eventual": false, "strict": true} {
		t.Run(consistency, func(t *testing.T) {
			server := redistest.Start(t)
			var seen states
			const timeout = 200 * time.Millisecond
			store := open(t, redisstore.Options{URLs: []string{server.URL()}, Timeout: timeout, Strict: strict, Log: seen.log()})
			defer store.Close()
			for range 3 {
				if _, err := store.Get(t.Context(), "key"); err != nil {
					t.Fatal(err)
				}
				server.Pause()
				waited := 0
				for range 200 {
					begun := time.Now()
					_, err := store.Get(t.Context(), "key")
					if err == nil {
						t.Fatal("a server that is stopped answers")
					}
					if took := time.Since(begun); took > patient {
						t.Errorf("a call took %v", took)
					}
					if !isDown(err) {
						waited++
					}
				}
				// Only the circuit breaker probes the server, never a caller.
				if waited > 5 {
					t.Errorf("%d of 200 calls waited", waited)
				}
				server.Resume()
				seen.awaitUp(t)
			}
			if down, up, err := seen.get(); down != 3 || up != 3 || err == nil {
				t.Errorf("down %d times, up %d times, %v", down, up, err)
			}
		})
	}
}

// Callers that give up do not make the server count as down.
func TestCallersThatGoAway(t *testing.T) {
	server := redistest.Start(t)
	var seen states
	store := open(t, redisstore.Options{URLs: []string{server.URL()}, Log: seen.log()})
	defer store.Close()
	server.Pause()
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := store.Get(ctx, "key"); err == nil || isDown(err) {
			t.Errorf("a call that was given up: %v", err)
		}
	}
	server.Resume()
	if _, err := store.Get(t.Context(), "key"); err != nil {
		t.Error(err)
	}
	if down, _, _ := seen.get(); down != 0 {
		t.Errorf("the server was said to be down %d times", down)
	}
}

// A call that failed while the server hung has no effect when the server goes on,
// although the request is in its socket, whether the connection was closed in the
// meantime or not.
func TestHangingServerChangesNothingLater(t *testing.T) {
	for name, cut := range map[string]bool{"connection open": false, "connection cut": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			proxy := redistest.StartProxy(t, server)
			var seen states
			o := redisstore.Options{URLs: []string{proxy.URL()}, Timeout: 100 * time.Millisecond, Prefix: freshPrefix(), Log: seen.log()}
			table := openTables(t, 1, o)[0]
			direct := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Prefix: o.Prefix, Strict: true})[0]
			const rounds, keys, old = 12, 20, 10
			for round := range rounds {
				var ids [old]int64
				key := func(i int) string { return fmt.Sprint("key ", round, i) }
				for i := range old {
					redistest.Await(t, "sessions are begun", func() bool {
						d, err := apply(table, key(i), message(session.Start))
						ids[i] = d.SessionID
						return err == nil
					})
				}
				answered := make([]atomic.Bool, keys)
				server.Pause()
				sessiontest.Together(keys, func(i int) {
					// Known sessions are ended, unknown ones are begun.
					kind := session.Start
					if i < old {
						kind = session.End
					}
					_, err := apply(table, key(i), message(kind))
					answered[i].Store(err == nil)
				})
				if cut {
					proxy.Cut()
				}
				server.Resume()
				seen.awaitUp(t)
				for i := range keys {
					if answered[i].Load() {
						t.Errorf("a call was answered by a server that hung")
					}
					d := send(t, direct, key(i), session.Other)
					if i < old && d.SessionID != ids[i] || i >= old && d != (session.Decision{}) {
						t.Errorf("round %d, key %d: what failed has been carried out: %+v", round, i, d)
					}
				}
			}
		})
	}
}

// The same holds for several changes in one call of the store, right before the server
// goes on.
func TestHangingServerSwapsNothingLater(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	prefix := freshPrefix()
	var seen states
	store := open(t, redisstore.Options{URLs: []string{server.URL()}, Timeout: 50 * time.Millisecond, Prefix: prefix, Log: seen.log()})
	defer store.Close()
	direct := open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})
	defer direct.Close()
	for round := range 25 {
		redistest.Await(t, "the server answers", func() bool {
			_, err := store.Get(t.Context(), "key")
			return err == nil
		})
		changes := make([]Swap, 50)
		for i := range changes {
			changes[i] = Swap{Key: fmt.Sprint("key ", round, i), Next: sessionOf(1, 1_000_000_000)}
		}
		server.Pause()
		store.CompareAndSwap(t.Context(), changes)
		server.Resume()
		for _, c := range changes {
			if c.Done || c.Err == nil {
				t.Errorf("a server that hung answers %v, %v", c.Done, c.Err)
			}
			if s, err := direct.Get(t.Context(), c.Key); s != nil || err != nil {
				t.Errorf("round %d: what failed has been carried out: %+v, %v", round, s, err)
			}
		}
		seen.awaitUp(t)
	}
}
