package sessionstate_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Within a bubble of synctest time stands still while anybody works.

// pass lets time pass, and what is due then be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Of a session that changes often only the newest state is written, an interval
// after the first of the changes.
func TestDelayedChangesAreOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFailStore(t)
		table := open(t, store, flushing(100*time.Millisecond))
		for round := range 3 {
			before := store.counts()
			at := base + int64(round)*1000
			for i := range int64(100) {
				send(t, table, "key", trackAt(at+i, session.MessageID(at+i)))
			}
			pass(99 * time.Millisecond)
			if n := store.since(before).swaps; n != 0 {
				t.Errorf("round %d: %d writes before the interval was over", round, n)
			}
			pass(time.Millisecond)
			if got := store.since(before); got.swaps != 1 || got.refused != 0 {
				t.Errorf("round %d: asked %+v", round, got)
			}
			if got := last(store.held("key")); got != int64(round)*1000+99 {
				t.Errorf("round %d: written is the state of %d", round, got)
			}
			pass(time.Hour) // nothing is written again
			if got := store.since(before); got.swaps != 1 {
				t.Errorf("round %d: asked %+v", round, got)
			}
		}
	})
}

func TestIntervalIsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFailStore(t)
		table := open(t, store, flushing(time.Second))
		for i, interval := range []time.Duration{10 * time.Millisecond, time.Hour} {
			table.Configure(Settings{Capacity: 1000, FlushInterval: interval})
			send(t, table, "key", trackAt(base+int64(i), session.MessageID(10+i)))
			pass(interval - time.Millisecond)
			if n := store.counts().swaps; n != i {
				t.Errorf("interval %v: %d writes", interval, n)
			}
			pass(time.Millisecond)
			if n := store.counts().swaps; n != i+1 {
				t.Errorf("interval %v: %d writes", interval, n)
			}
		}
		// What waits already need not wait for longer than is wanted now.
		send(t, table, "key", trackAt(base+5, 2))
		pass(time.Minute)
		table.Configure(Settings{Capacity: 1000, FlushInterval: time.Second})
		pass(time.Second)
		if n := store.counts().swaps; n != 3 {
			t.Errorf("%d writes", n)
		}
	})
}

// Many changes go to the store in pieces, each in the order of the keys.
func TestDelayedChangesAreWrittenInPieces(t *testing.T) {
	const n = 2*WriteChunk + WriteChunk/2
	for _, how := range []string{"interval", "close"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFailStore(t)
				table := delaying(store, flushing(time.Second))
				for i := range n {
					send(t, table, fmt.Sprint("key ", i), trackAt(base, 1))
				}
				if how == "interval" {
					pass(time.Second)
					if len(store.all()) != n {
						t.Errorf("%d are written", len(store.all()))
					}
				}
				if err := table.Close(); err != nil || len(store.all()) != n {
					t.Errorf("%v, %d are written", err, len(store.all()))
				}
				var sizes []int
				var keys []string
				for _, call := range store.calls {
					sizes = append(sizes, len(call))
					for _, c := range call {
						keys = append(keys, c.Key)
					}
				}
				if !slices.Equal(sizes, []int{WriteChunk, WriteChunk, WriteChunk / 2}) || !slices.IsSorted(keys) {
					t.Errorf("written in pieces of %d", sizes)
				}
			})
		})
	}
}

// A write that fails is tried again until it succeeds, more and more seldom, and
// each try is reported.
func TestDelayedWriteIsTriedAgain(t *testing.T) {
	for name, f := range map[string]fate{"failed": failed, "unheard": unheard, "late": late} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFailStore(t)
				o := flushing(100 * time.Millisecond)
				var reports []error
				var tries []time.Time
				o.Report = func(err error) {
					reports = append(reports, err)
					tries = append(tries, time.Now())
				}
				table := open(t, store, o)
				store.set(hooks{fate: always(f)})
				begun := time.Now()
				send(t, table, "key", trackAt(base, 1))
				pass(550 * time.Millisecond)
				// What changes meanwhile goes with the next try.
				send(t, table, "key", trackAt(base+7, 2))
				pass(10 * time.Second)
				store.set(hooks{})
				pass(3 * time.Second)
				if got := last(store.held("key")); got != 7 {
					t.Errorf("written is the state of %d", got)
				}
				errs := len(reports)
				for i, err := range reports {
					if err == nil && errs == len(reports) {
						errs = i
					}
					if (err != nil) != (i < errs) || err != nil && !errors.Is(err, errDown) {
						t.Errorf("report %d is %v", i, err)
					}
				}
				if name == "failed" && (errs < 10 || errs > 14) || errs == 0 || errs == len(reports) {
					t.Errorf("%d reports, %d of them errors", len(reports), errs)
				}
				pause := time.Duration(0)
				for i, at := range tries[:errs] {
					if p := at.Sub(begun); p < pause || p > time.Second || i == 0 && p != 100*time.Millisecond {
						t.Errorf("try %d came after %v, the one before after %v", i, p, pause)
					} else {
						pause = p
					}
					begun = at
				}
				calls := store.counts().swaps
				pass(time.Hour)
				if n := store.counts().swaps; n != calls {
					t.Errorf("written %d times more", n-calls)
				}
			})
		})
	}
}

// A write whose answer is lost is found when it is tried again.
func TestUnheardDelayedWrite(t *testing.T) {
	for name, f := range map[string]fate{"unheard": unheard, "late": late} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFailStore(t)
				table := open(t, store, flushing(time.Second))
				store.set(hooks{fate: first(f)})
				send(t, table, "key", trackAt(base, 1))
				pass(time.Minute)
				if d := send(t, table, "key", trackAt(base+5, 2)); d.SessionID != base || d.Start {
					t.Errorf("%+v", d)
				}
				pass(time.Minute)
				if got := last(store.held("key")); got != 5 {
					t.Errorf("written is the state of %d", got)
				}
			})
		})
	}
}

// Of changes that are written together one may fail: the others are not held up.
func TestDelayedChangesFailEachByItself(t *testing.T) {
	const n = WriteChunk + 10
	bad := "key " + strings.Repeat("0", 5)
	fill := func(t *testing.T, table *Table) {
		for i := range n {
			send(t, table, fmt.Sprintf("key %05d", i), trackAt(base, 1))
		}
	}
	down := func(c *Swap) fate {
		if c.Key == bad {
			return failed
		}
		return kept
	}
	t.Run("interval", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := newFailStore(t)
			table := open(t, store, flushing(time.Second))
			store.set(hooks{fate: down})
			fill(t, table)
			pass(5 * time.Second)
			if len(store.all()) != n-1 {
				t.Errorf("%d are written", len(store.all()))
			}
			store.set(hooks{})
			pass(5 * time.Second)
			if len(store.all()) != n {
				t.Errorf("%d are written", len(store.all()))
			}
		})
	})
	t.Run("close", func(t *testing.T) {
		store := newFailStore(t)
		table := delaying(store, Options{})
		store.set(hooks{fate: down})
		fill(t, table)
		if err := table.Close(); !errors.Is(err, errDown) {
			t.Errorf("close: %v", err)
		}
		if len(store.all()) != n-1 {
			t.Errorf("%d of %d are written", len(store.all()), n-1)
		}
	})
}

// Events go on while a write is under way, and are written after it.
func TestEventsDoNotWaitForWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFailStore(t)
		table := open(t, store, flushing(time.Second))
		answer := make(chan struct{})
		store.set(hooks{swapped: func([]Swap) { <-answer }})
		first := send(t, table, "key", trackAt(base, 1))
		pass(time.Second)
		// It is written, and not yet answered.
		if !first.Start || store.held("key") == nil {
			t.Fatalf("%+v, the store has %v", first, store.held("key"))
		}
		for i := range int64(10) {
			if d := send(t, table, "key", trackAt(base+i, session.MessageID(2+i))); d.SessionID != base || d.Start {
				t.Errorf("%+v", d)
			}
		}
		if d := send(t, table, "other", trackAt(base, 1)); !d.Start {
			t.Errorf("%+v", d)
		}
		store.set(hooks{})
		close(answer)
		pass(2 * time.Second)
		if last(store.held("key")) != 9 || store.held("other") == nil || store.counts().refused != 0 {
			t.Errorf("the store has %+v, %+v", store.held("key"), store.counts())
		}
	})
}

// What leaves the cache while it waits is not lost, and not asked for.
func TestEvictedWhileDelayed(t *testing.T) {
	const n = 50
	store := newFailStore(t)
	o := Options{}
	o.Capacity = 1
	table := delaying(store, o)
	for i := range n {
		if d := send(t, table, fmt.Sprint("key ", i), trackAt(base, 1)); !d.Start {
			t.Errorf("key %d: %+v", i, d)
		}
	}
	for i := range n {
		if d := send(t, table, fmt.Sprint("key ", i), trackAt(base+5, 2)); d.Start || d.SessionID != base {
			t.Errorf("key %d: %+v", i, d)
		}
	}
	if got := store.counts(); got != (counts{gets: n}) {
		t.Errorf("asked %+v", got)
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	for i := range n {
		if got := last(store.held(fmt.Sprint("key ", i))); got != 5 {
			t.Errorf("key %d: written is the state of %d", i, got)
		}
	}
}

// It is so too while it is being written, and when it is just written.
func TestEvictedWhileBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFailStore(t)
		o := flushing(time.Second)
		o.Capacity = 1
		table := open(t, store, o)
		answer := make(chan struct{})
		store.set(hooks{onSwap: waitFor(answer)})
		send(t, table, "key", trackAt(base, 1))
		send(t, table, "other", trackAt(base, 1))
		pass(time.Second)
		if d := send(t, table, "key", trackAt(base+5, 2)); d.Start || d.SessionID != base {
			t.Errorf("%+v", d)
		}
		send(t, table, "other", trackAt(base, 2))
		close(answer)
		pass(time.Minute)
		if got := last(store.held("key")); got != 5 {
			t.Errorf("written is the state of %d", got)
		}
		if d := send(t, table, "key", trackAt(base+6, 3)); d.Start || d.SessionID != base {
			t.Errorf("%+v", d)
		}
	})
}
