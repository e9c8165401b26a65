package redisstore_test

import (
	"fmt"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// cutPoints calls f with each number of bytes, in both directions, after which to cut a
// connection: up to a bit more than one control call takes.
func cutPoints(f func(d redistest.Direction, n int)) {
	for n := 1; n < 420; n += 3 {
		f(redistest.Requests, n)
	}
	for n := 1; n < 60; n++ {
		f(redistest.Answers, n)
	}
}

// When a connection is cut at any point, no control call fails or is applied twice.
func TestConnectionIsCut(t *testing.T) {
	for consistency, strict := range map[string]bool{"eventual": false, "strict": true} {
		t.Run(consistency, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			proxy := redistest.StartProxy(t, server)
			prefix := freshPrefix()
			table := openTables(t, 1, redisstore.Options{URLs: []string{proxy.URL()}, Prefix: prefix, Strict: strict})[0]
			direct := open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})
			defer direct.Close()
			send(t, table, "key", session.Start) // so that the server knows the script
			last := session.Version(0)
			cutPoints(func(d redistest.Direction, n int) {
				before, err := direct.Get(t.Context(), "key")
				if err != nil {
					t.Fatal(err)
				}
				proxy.CutAfter(d, n)
				answer := send(t, table, "key", session.Start)
				proxy.CutAfter(d, -1)
				after, err := direct.Get(t.Context(), "key")
				if err != nil {
					t.Fatal(err)
				}
				if got := after.Segments[len(after.Segments)-1]; got.ID != answer.SessionID {
					t.Fatalf("cut after %d bytes: the answer is %d, the store has %+v", n, answer.SessionID, got)
				}
				if before.Version >= after.Version || last >= after.Version {
					t.Fatalf("cut after %d bytes: version %d became %d", n, before.Version, after.Version)
				}
				if len(before.Segments) < session.MaxSegments && len(after.Segments) != len(before.Segments)+1 {
					t.Fatalf("cut after %d bytes: %d segments became %d", n, len(before.Segments), len(after.Segments))
				}
				if last = after.Version; n%20 == 0 {
					if err := direct.Delete(t.Context(), "key"); err != nil {
						t.Fatal(err)
					}
					awaitID(t, table, "key", 0)
					send(t, table, "key", session.Start)
					last = 0
				}
			})
		})
	}
}

// If no new connection is possible after a cut, a control call fails. It may have been
// carried out, but only once, and the table finds out which.
func TestConnectionIsCutForLonger(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	prefix := freshPrefix()
	var seen states
	table := openTables(t, 1, redisstore.Options{URLs: []string{proxy.URL()}, Prefix: prefix, Log: seen.log()})[0]
	direct := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix, Strict: true})[0]
	send(t, table, "key", session.Start)
	i, failed := 0, 0
	cutPoints(func(d redistest.Direction, n int) {
		i++
		if d == redistest.Requests && n%4 != 1 {
			return
		}
		key := fmt.Sprint("key ", i)
		proxy.CutAfterForGood(d, n)
		e := message(session.Start)
		answer, err := apply(table, key, e)
		proxy.Accept()
		there := send(t, direct, key, session.Other)
		switch {
		case err == nil && there.SessionID != answer.SessionID:
			t.Fatalf("cut after %d bytes: the answer is %d, the store has %d", n, answer.SessionID, there.SessionID)
		case err != nil:
			failed++
		}
		redistest.Await(t, "the store is well again", func() bool {
			now, err := apply(table, key, message(session.Other))
			if err == nil && now.SessionID != there.SessionID {
				t.Fatalf("cut after %d bytes: the table goes by %d, the store has %d", n, now.SessionID, there.SessionID)
			}
			return err == nil
		})
		// The client repeats the failed call.
		again, err := apply(table, key, e)
		if err != nil || there.SessionID != 0 && (again.SessionID != there.SessionID || !again.Repeated) {
			t.Fatalf("cut after %d bytes: sent again, %+v, %v; the store had %d", n, again, err, there.SessionID)
		}
	})
	if failed == 0 {
		t.Error("no call failed")
	}
}

// Each of many changes that are sent together is done exactly once.
func TestConnectionIsCutInAPipeline(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	prefix := freshPrefix()
	store := open(t, redisstore.Options{URLs: []string{proxy.URL()}, Prefix: prefix})
	defer store.Close()
	direct := open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})
	defer direct.Close()
	if _, err := swapOne(store, "key", 0, sessionOf(1, 1_000_000_000)); err != nil {
		t.Fatal(err)
	}
	const changes = 10
	round := 0
	try := func(d redistest.Direction, n int) {
		round++
		swaps := make([]Swap, changes)
		for i := range swaps {
			swaps[i] = Swap{Key: fmt.Sprint("key ", round, i), Next: sessionOf(session.Version(round), 1_000_000_000+int64(i))}
		}
		// One of them comes too late.
		if ok, err := swapOne(direct, swaps[3].Key, 0, sessionOf(1000, 2_000_000_000)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		proxy.CutAfter(d, n)
		store.CompareAndSwap(t.Context(), swaps)
		proxy.CutAfter(d, -1)
		for i, c := range swaps {
			if c.Done != (i != 3) || c.Err != nil {
				t.Fatalf("cut after %d bytes: change %d: %v, %v", n, i, c.Done, c.Err)
			}
			version := c.Next.Version
			if i == 3 {
				version = 1000
			}
			if s, err := direct.Get(t.Context(), c.Key); err != nil || s == nil || s.Version != version {
				t.Fatalf("cut after %d bytes: change %d: the store has %+v, %v", n, i, s, err)
			}
		}
	}
	for n := 1; n < 2400; n += 17 {
		try(redistest.Requests, n)
	}
	for n := 1; n < 240; n += 3 {
		try(redistest.Answers, n)
	}
}

// A change whose answer was lost while others changed the key is not reported as done.
func TestLostAnswerAmongOthers(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	prefix := freshPrefix()
	a := openTables(t, 1, redisstore.Options{URLs: []string{proxy.URL()}, Prefix: prefix})[0]
	b := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})[0]
	for range 50 {
		send(t, a, "key", session.Start)
		proxy.Hold(redistest.Answers)
		var answer session.Decision
		sessiontest.Together(2, func(i int) {
			if i == 0 {
				answer = send(t, a, "key", session.Start)
				return
			}
			id := send(t, b, "key", session.Start).SessionID
			proxy.Release(redistest.Answers)
			proxy.Cut()
			if got := send(t, b, "key", session.Other).SessionID; got < id {
				t.Errorf("session %d in the place of %d, which came later", got, id)
			}
		})
		id := send(t, b, "key", session.Reset).SessionID
		awaitID(t, a, "key", id)
		if answer.SessionID == 0 {
			t.Error("a call without an answer")
		}
	}
}
