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

// In a synctest bubble, time stands still while any goroutine works.

// pass lets time pass, and waits until everything that is then due is done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Of several changes of a session only the newest state is written, one interval after
// the first change.
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
		// A shorter interval applies to pending changes too.
		send(t, table, "key", trackAt(base+5, 2))
		pass(time.Minute)
		table.Configure(Settings{Capacity: 1000, FlushInterval: time.Second})
		pass(time.Second)
		if n := store.counts().swaps; n != 3 {
			t.Errorf("%d writes", n)
		}
	})
}

// Many changes are written in chunks, each sorted by key.
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

// A failed write is tried again until it succeeds, after longer and longer pauses, and
// each attempt is reported.
func TestDelayedWriteIsTriedAgain(t *testing.T) {
	for name, f := range map[string]outcome{"failed": failed, "answer lost": answerLost, "applied late": appliedLate} {
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
				store.set(hooks{outcome: always(f)})
				begun := time.Now()
				send(t, table, "key", trackAt(base, 1))
				pass(550 * time.Millisecond)
				// Changes in the meantime are written with the next attempt.
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

// A write whose answer was lost is recognized at the next attempt.
func TestLostAnswerToADelayedWrite(t *testing.T) {
	for name, f := range map[string]outcome{"answer lost": answerLost, "applied late": appliedLate} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFailStore(t)
				table := open(t, store, flushing(time.Second))
				store.set(hooks{outcome: first(f)})
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

// If one of the changes of a write fails, the others are written.
func TestDelayedChangesFailEachByItself(t *testing.T) {
	const n = WriteChunk + 10
	bad := "key " + strings.Repeat("0", 5)
	fill := func(t *testing.T, table *Table) {
		for i := range n {
			send(t, table, fmt.Sprintf("key %05d", i), trackAt(base, 1))
		}
	}
	down := func(c *Swap) outcome {
		if c.Key == bad {
			return failed
		}
		return applied
	}
	t.Run("interval", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := newFailStore(t)
			table := open(t, store, flushing(time.Second))
			store.set(hooks{outcome: down})
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
		store.set(hooks{outcome: down})
		fill(t, table)
		if err := table.Close(); !errors.Is(err, errDown) {
			t.Errorf("close: %v", err)
		}
		if len(store.all()) != n-1 {
			t.Errorf("%d of %d are written", len(store.all()), n-1)
		}
	})
}

// Events do not wait for a write in flight; their changes are written after it.
func TestEventsDoNotWaitForWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFailStore(t)
		table := open(t, store, flushing(time.Second))
		answer := make(chan struct{})
		store.set(hooks{swapped: func([]Swap) { <-answer }})
		first := send(t, table, "key", trackAt(base, 1))
		pass(time.Second)
		// It is written, but the answer has not come yet.
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

// A session that is evicted while its change is pending is not lost, and not read.
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

// The same holds while the change is in flight, and right after it was written.
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
