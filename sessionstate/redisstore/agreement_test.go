package redisstore_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// A session that is read while another table writes it is not cached in its old state,
// even if the notification arrives at a slow reader before the answer.
func TestReadersAmongWriters(t *testing.T) {
	server := redistest.Start(t)
	tables := openTables(t, 3, redisstore.Options{URLs: []string{server.URL()}})
	const rounds, keys = 40, 50
	for round := range rounds {
		var ids [keys]int64
		sessiontest.Together(3*keys, func(i int) {
			key := fmt.Sprint("key ", round, i%keys)
			switch i / keys {
			case 0:
				ids[i%keys] = send(t, tables[round%3], key, session.Start).SessionID
			default:
				send(t, tables[(round+i/keys)%3], key, session.Other)
			}
		})
		for i, id := range ids {
			for _, table := range tables {
				awaitID(t, table, fmt.Sprint("key ", round, i), id)
			}
		}
	}
}

// After many calls at all tables, the tables agree with the server.
func TestTablesAgreeInTheEnd(t *testing.T) {
	server := redistest.Start(t)
	prefix := freshPrefix()
	tables := openTables(t, 3, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})
	truth := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix, Strict: true})[0]
	const rounds, calls, keys = 5, 100, 4
	for range rounds {
		var writers, readers sync.WaitGroup
		var stop atomic.Bool
		for i, table := range tables {
			readers.Go(func() {
				for n := 0; !stop.Load(); n++ {
					send(t, table, fmt.Sprint("key ", n%keys), session.Other)
				}
			})
			writers.Go(func() {
				for n := range calls {
					kind := []session.Kind{session.Start, session.Reset, session.End, session.Start}[(n+i)%4]
					send(t, table, fmt.Sprint("key ", n%keys), kind)
				}
			})
		}
		writers.Wait()
		stop.Store(true)
		readers.Wait()
		for k := range keys {
			key := fmt.Sprint("key ", k)
			want := send(t, truth, key, session.Other)
			for i, table := range tables {
				redistest.Await(t, fmt.Sprintf("table %d agrees", i), func() bool {
					d := send(t, table, key, session.Other)
					return d.SessionID == want.SessionID && d.Action == want.Action
				})
			}
		}
	}
}

// In strict mode each event reads Redis: what one table has answered holds in the others
// at once.
func TestStrictIsRightAtOnce(t *testing.T) {
	server := redistest.Start(t)
	tables := openTables(t, 2, redisstore.Options{URLs: []string{server.URL()}, Strict: true})
	sessiontest.Together(4, func(worker int) {
		key := fmt.Sprint("key ", worker)
		for i := range 500 {
			at, other := tables[i%2], tables[(i+1)%2]
			id := send(t, at, key, session.Start).SessionID
			if d := send(t, other, key, session.Other); d.SessionID != id || !d.Start {
				t.Errorf("an event behind startSession: %+v, not of %d", d, id)
				return
			}
			if d := send(t, at, key, session.Other); d.SessionID != id || d.Start {
				t.Errorf("an event behind one: %+v, not of %d", d, id)
				return
			}
			if d := send(t, at, key, session.End); d.SessionID != 0 {
				t.Errorf("endSession: %+v", d)
				return
			}
			if d := send(t, other, key, session.Other); d.Action != session.Clear {
				t.Errorf("an event behind endSession: %+v", d)
				return
			}
		}
	})
}

// A control call sees the effect of all answered calls at other tables, whatever is
// cached.
func TestControlCallsSeeEachOther(t *testing.T) {
	server := redistest.Start(t)
	tables := openTables(t, 2, redisstore.Options{URLs: []string{server.URL()}})
	for i := range 500 {
		at, other := tables[i%2], tables[(i+1)%2]
		started := send(t, at, "key", session.Start).SessionID
		if id, err := other.Current(t.Context(), "key", base+ticks.Load(), &policy); id != started || err != nil {
			t.Fatalf("the session is %d, not %d: %v", id, started, err)
		}
		send(t, at, "key", session.End)
		if d := send(t, other, "key", session.Reset); d.SessionID != 0 {
			t.Fatalf("resetSession behind endSession: %+v", d)
		}
	}
}

// A call that is sent to two tables is applied once.
func TestRepeatedCallIsAppliedOnce(t *testing.T) {
	server := redistest.Start(t)
	for name, strict := range map[string]bool{"eventual": false, "strict": true} {
		t.Run(name, func(t *testing.T) {
			tables := openTables(t, 2, redisstore.Options{URLs: []string{server.URL()}, Strict: strict})
			for i := range 100 {
				key, e := fmt.Sprint("key ", i), message(session.Start)
				var ids [2]int64
				var repeated atomic.Int32
				sessiontest.Together(2, func(i int) {
					d, err := apply(tables[i], key, e)
					if err != nil {
						t.Error(err)
					}
					if ids[i] = d.SessionID; d.Repeated {
						repeated.Add(1)
					}
				})
				if ids[0] != ids[1] || repeated.Load() != 1 {
					t.Fatalf("sessions %d, %d of them repeated", ids, repeated.Load())
				}
			}
		})
	}
}

// An automatic session lasts as long as its events say, whatever calls of its key come
// while an extension is pending.
func TestCallsDoNotShortenSessions(t *testing.T) {
	server := redistest.Start(t)
	proxy := session.Policy{Automatic: session.AutomaticProxy, Timeout: 30 * 60_000, Retention: 400 * day}
	const minute = 60_000
	for name, call := range map[string]func(t *testing.T, table *Table, now int64){
		"Current": func(t *testing.T, table *Table, now int64) {
			if _, err := table.Current(t.Context(), "key", now, &proxy); err != nil {
				t.Error(err)
			}
		},
		"Release": func(t *testing.T, table *Table, _ int64) {
			if err := table.Release(t.Context(), "key", 99, 1); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			table := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}})[0]
			event := func(at int64) int64 {
				t.Helper()
				var d [1]session.Decision
				e := session.Event{Times: original(base + at), Message: session.MessageID(ticks.Add(1))}
				if err := table.Apply(t.Context(), "key", request(base+at, &proxy, []session.Event{e}), d[:]); err != nil {
					t.Error(err)
				}
				return d[0].SessionID
			}
			first := event(0)
			event(25 * minute)
			call(t, table, base+25*minute)
			if id := event(50 * minute); id != first {
				t.Errorf("25 minutes after an event another session, %d in the place of %d", id, first)
			}
		})
	}
}
