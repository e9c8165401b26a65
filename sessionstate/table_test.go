package sessionstate_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

var policy = session.Policy{Timeout: 30 * 60_000, Retention: 400 * 24 * 3600_000}

// ask sends one message.
func ask(t testing.TB, table *Table, key string, e session.Event) session.Decision {
	var d [1]session.Decision
	if err := table.Apply(context.Background(), key, request(base+1000, &policy, []session.Event{e}), d[:]); err != nil {
		t.Helper() // here, because it takes longer than Apply
		t.Errorf("%s: %v", brief(e), err)
	}
	d[0] = bare(d[0])
	return d[0]
}

func startAt(at int64, m session.MessageID) session.Event {
	return session.Event{Kind: session.Start, Times: original(at), Message: m}
}
func trackAt(at int64, m session.MessageID) session.Event {
	return session.Event{Times: original(at), Message: m}
}

// eachTable runs a test over each kind of store.
func eachTable(t *testing.T, test func(t *testing.T, table *Table)) {
	t.Run("memory", func(t *testing.T) { test(t, newTable(t, memorystore.New(), 1000, 0)) })
	for name, store := range map[string]func() Store{
		"own": func() Store { return newRemote() }, "shared": func() Store { return newShared() },
	} {
		t.Run(name, func(t *testing.T) { test(t, newTable(t, store(), 1000, 0)) })
		t.Run(name+", not cached", func(t *testing.T) {
			// The cache holds one session, another key's.
			table := newTable(t, store(), 1, 0)
			ask(t, table, "other", startAt(base, 1))
			test(t, table)
		})
	}
	t.Run("own, being written", func(t *testing.T) { test(t, open(t, newFailStore(t), flushing(time.Millisecond))) })
	t.Run("own, being written, not cached", func(t *testing.T) {
		o := flushing(time.Millisecond)
		o.Capacity = 1
		table := open(t, newFailStore(t), o)
		ask(t, table, "other", startAt(base, 1))
		test(t, table)
	})
	t.Run("strict", func(t *testing.T) { test(t, newTable(t, strict{newRemote()}, 1000, 0)) })
}

func TestOneOfManyClaimsTheMark(t *testing.T) {
	eachTable(t, func(t *testing.T, table *Table) {
		for round := range int64(150) {
			key := fmt.Sprint("key ", round)
			ask(t, table, key, startAt(base, 1))
			var marks, stamps atomic.Int32
			sessiontest.Together(16, func(i int) {
				d := ask(t, table, key, trackAt(base+1, session.MessageID(2+i)))
				if d.SessionID == base && d.Action == session.Stamp {
					stamps.Add(1)
				}
				if d.Start {
					marks.Add(1)
				}
			})
			if marks.Load() != 1 || stamps.Load() != 16 {
				t.Fatalf("%d marks on %d of 16 events", marks.Load(), stamps.Load())
			}
		}
	})
}

// Two tables over one store are two processes.
func TestOneOfManyClaimsTheMarkInTwoProcesses(t *testing.T) {
	for range 20 {
		store := newShared()
		tables := []*Table{newTable(t, store, 1000, 0), newTable(t, store.again(), 1000, 0)}
		for _, table := range tables {
			ask(t, table, "key", startAt(base, 1))
		}
		var marks atomic.Int32
		sessiontest.Together(16, func(i int) {
			if ask(t, tables[i%2], "key", trackAt(base+1, session.MessageID(2+i))).Start {
				marks.Add(1)
			}
		})
		if marks.Load() != 1 {
			t.Fatalf("%d marks", marks.Load())
		}
	}
}

func TestNoCallIsLost(t *testing.T) {
	eachTable(t, func(t *testing.T, table *Table) {
		const n = 24
		var ids sync.Map
		sessiontest.Together(n, func(i int) {
			// Each begins a millisecond later, and is current for that millisecond.
			at := base + int64(i)
			ids.Store(ask(t, table, "key", startAt(at, session.MessageID(1+i))).SessionID, i)
		})
		for i := range int64(n) {
			if _, ok := ids.Load(base + i); !ok {
				t.Errorf("no answer %d", base+i)
			}
		}
		id, err := table.Current(t.Context(), "key", base+n, &policy)
		if id != base+n-1 || err != nil {
			t.Errorf("current is %d, %v", id, err)
		}
	})
}

func TestReleaseInTheTable(t *testing.T) {
	eachTable(t, func(t *testing.T, table *Table) {
		if err := table.Release(t.Context(), "nobody", 1, base); err != nil {
			t.Error(err)
		}
		ask(t, table, "key", startAt(base, 1))
		if !ask(t, table, "key", trackAt(base, 2)).Start {
			t.Error("no mark")
		}
		// The data plane's answers to several events arrive together, among them the
		// one to the marked event.
		sessiontest.Together(8, func(i int) {
			if err := table.Release(t.Context(), "key", session.MessageID(2+i), base); err != nil {
				t.Error(err)
			}
		})
		if !ask(t, table, "key", trackAt(base, 3)).Start || ask(t, table, "key", trackAt(base, 2)).Start {
			t.Error("the mark was not freed")
		}
	})
}

func TestKnownSessionsAreNotAskedFor(t *testing.T) {
	store := newShared()
	table := newTable(t, store, 1000, 0)
	ask(t, table, "key", startAt(base, 1))
	ask(t, table, "key", trackAt(base, 2))
	if store.gets != 1 || store.swaps != 2 {
		t.Errorf("%d gets, %d swaps", store.gets, store.swaps)
	}
	for i := range session.MessageID(50) {
		ask(t, table, "key", trackAt(base+1, 10+i))
	}
	if store.gets != 1 || store.swaps != 2 {
		t.Errorf("%d gets, %d swaps", store.gets, store.swaps)
	}
	// A session that another process wrote is read once.
	table = newTable(t, store.again(), 1000, 0)
	for i := range session.MessageID(50) {
		ask(t, table, "key", trackAt(base+1, 10+i))
	}
	if store.gets != 2 || store.swaps != 2 {
		t.Errorf("%d gets, %d swaps", store.gets, store.swaps)
	}
}

// silent is a shared store whose notifications are lost.
type silent struct{ *shared }

func (silent) Watch(func(string), func()) bool { return true }

func TestAnotherProcessIsNoticedAtAChange(t *testing.T) {
	store := newShared()
	here, there := newTable(t, store, 1000, 0), newTable(t, silent{store.again()}, 1000, 0)
	ask(t, here, "key", startAt(base, 1))
	ask(t, there, "key", session.Event{Kind: session.End, Times: original(base + 10), Message: 2})
	if d := ask(t, here, "key", trackAt(base+20, 3)); d.Action != session.Clear {
		t.Errorf("%+v", d)
	}
}

func TestCloseClosesTheStore(t *testing.T) {
	store := newShared()
	if err := NewTable(store, Options{Settings: Settings{Capacity: 1}}).Close(); err != nil || !store.closed {
		t.Error(err, store.closed)
	}
}

func TestTableIsBounded(t *testing.T) {
	for name, store := range map[string]Store{"memory": memorystore.New(), "own": newRemote(), "shared": newShared()} {
		t.Run(name, func(t *testing.T) {
			table := newTable(t, store, 10, 0)
			start := func(from, to int) {
				for i := from; i < to; i++ {
					ask(t, table, fmt.Sprint("key ", i), startAt(base, 1))
				}
			}
			check := func(want int) {
				t.Helper()
				if got := table.Len(); got != want {
					t.Errorf("%d sessions, want %d", got, want)
				}
			}
			check(0)
			start(0, 5)
			check(5)
			start(0, 50)
			check(10)
			table.Configure(Settings{Capacity: 3, FlushInterval: time.Hour})
			check(3)
			table.Configure(Settings{Capacity: 100, FlushInterval: time.Hour})
			check(3)
			start(50, 250)
			check(100)
		})
	}
}
