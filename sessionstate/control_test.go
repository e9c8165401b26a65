package sessionstate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// In a store that only this process changes, a control call writes the pending changes
// of its key as well: one write, which replaces what the store has.
func TestControlCallTakesOver(t *testing.T) {
	for name, stored := range map[string]bool{"new key": false, "known key": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFailStore(t)
				table := open(t, store, flushing(time.Second))
				if stored {
					send(t, table, "key", trackAt(base, 1))
					pass(time.Second)
				}
				before := store.counts()
				send(t, table, "key", trackAt(base+1, 2))
				send(t, table, "key", trackAt(base+2, 3))
				gets := store.since(before).gets
				send(t, table, "key", endAt(base+3, 4))
				want := counts{gets: gets, swaps: 1}
				if got := store.since(before); got != want {
					t.Errorf("asked %+v", got)
				}
				if s := store.held("key"); len(s.Segments) != 2 || s.Segments[1].Mode != session.Ended || s.Segments[0].Last.Time != base+2 {
					t.Errorf("the store has %+v", s)
				}
				pass(time.Hour)
				if got := store.since(before); got != want {
					t.Errorf("asked %+v", got)
				}
				// Later changes build on it.
				send(t, table, "key", startAt(base+4, 5))
				send(t, table, "key", trackAt(base+5, 6))
				pass(time.Second)
				if got := store.since(before); got != (counts{gets: gets, swaps: 3}) {
					t.Errorf("asked %+v", got)
				}
			})
		})
	}
}

// A control call waits while an earlier change of its key is in flight, and continues
// from its result. Events of the same key wait for the call, those of others do not.
func TestControlCallDuringAWrite(t *testing.T) {
	for _, written := range []bool{true, false} {
		t.Run(fmt.Sprint("written ", written), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFailStore(t)
				table := open(t, store, flushing(time.Second))
				answer := make(chan struct{})
				store.set(hooks{
					swapped: func([]Swap) { <-answer },
					outcome: first(map[bool]outcome{true: applied, false: failed}[written]),
				})
				send(t, table, "key", trackAt(base, 1))
				pass(time.Second)
				store.set(hooks{})
				called := make(chan session.Decision, 1)
				go func() { called <- send(t, table, "key", startAt(base+5, 2)) }()
				synctest.Wait()
				if n := len(store.all()); len(called) > 0 || store.counts().swaps != 1 {
					t.Errorf("the call did not wait: %d sessions, %+v", n, store.counts())
				}
				send(t, table, "other", startAt(base, 1))
				before, behind := make(chan session.Decision, 1), make(chan session.Decision, 1)
				go func() { before <- send(t, table, "key", trackAt(base, 3)) }()
				go func() { behind <- send(t, table, "key", trackAt(base+5, 4)) }()
				synctest.Wait()
				if len(before)+len(behind) > 0 {
					t.Error("an event did not wait for the call")
				}
				close(answer)
				if d := <-before; d.SessionID != base || d.Start {
					t.Errorf("%+v", d)
				}
				if d := <-behind; d.SessionID != base+5 || !d.Start {
					t.Errorf("%+v", d)
				}
				if d := <-called; d.SessionID != base+5 {
					t.Errorf("%+v", d)
				}
				if s := store.held("key"); s.Segments[len(s.Segments)-1].ID != base+5 || s.Segments[0].ID != base {
					t.Errorf("the store has %+v", s)
				}
				if d := send(t, table, "key", trackAt(base+6, 5)); d.SessionID != base+5 || d.Start {
					t.Errorf("%+v", d)
				}
				pass(time.Minute)
				if n := store.counts().refused; n > 0 {
					t.Errorf("%d writes came after others", n)
				}
				if s := store.held("key"); s.Segments[len(s.Segments)-1].Mark != 4 {
					t.Errorf("the store has %+v", s)
				}
			})
		})
	}
}

// A control call waits until its deadline at most; then it has changed nothing.
func TestControlCallGivesUpWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFailStore(t)
		o := flushing(time.Second)
		o.Deadline = time.Second
		table := open(t, store, o)
		answer := make(chan struct{})
		store.set(hooks{onSwap: waitFor(answer)})
		send(t, table, "key", trackAt(base, 1))
		pass(time.Second)
		if _, err := give(table, "key", &proxied, endAt(base+5, 2)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if d := send(t, table, "key", trackAt(base+6, 3)); d.SessionID != base || d.Start {
			t.Errorf("%+v", d)
		}
		close(answer)
		pass(time.Minute)
		if s := store.held("key"); len(s.Segments) != 1 || last(s) != 6 {
			t.Errorf("the store has %+v", s)
		}
	})
}

// An event that waits for a hanging call is decided by the cached session once its own
// deadline is over: the call has changed nothing yet.
func TestEventBehindACallThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFailStore(t)
		o := flushing(time.Minute)
		o.Deadline = time.Second
		table := open(t, store, o)
		send(t, table, "key", startAt(base, 1))
		send(t, table, "key", trackAt(base+1, 2))
		stuck := make(chan struct{})
		store.set(hooks{swapped: func([]Swap) { <-stuck }})
		called := make(chan error, 1)
		go func() {
			_, err := give(table, "key", &proxied, endAt(base+5, 3))
			called <- err
		}()
		synctest.Wait()
		if d := send(t, table, "key", trackAt(base+2, 4)); d.SessionID != base || d.Start {
			t.Errorf("%+v", d)
		}
		if len(called) > 0 {
			t.Error("the call did not hang")
		}
		close(stuck)
		if err := <-called; err != nil {
			t.Error(err)
		}
		if d := send(t, table, "key", trackAt(base+6, 5)); d.Action != session.Clear {
			t.Errorf("%+v", d)
		}
	})
}

// scene is the history of a key before a control call that fails.
type scene struct {
	name string
	// events come before the call; flushed: they are written before it.
	events  []session.Event
	flushed bool
	call    session.Event
}

var scenes = []scene{
	{name: "start of a new key", call: startAt(base+10, 10)},
	{name: "start", events: []session.Event{trackAt(base, 1)}, flushed: true, call: startAt(base+10, 10)},
	{name: "end", events: []session.Event{startAt(base, 1), trackAt(base+1, 2)}, flushed: true, call: endAt(base+10, 10)},
	{name: "reset", events: []session.Event{startAt(base, 1), trackAt(base+1, 2)}, flushed: true, call: session.Event{Kind: session.Reset, Times: original(base + 10), Message: 10}},
	{name: "end of what waits", events: []session.Event{trackAt(base, 1), trackAt(base+1, 2)}, call: endAt(base+10, 10)},
	{name: "end of what is changed", events: []session.Event{startAt(base, 1), trackAt(base+1, 2)}, call: endAt(base+10, 10)},
}

// An error answer to a control call means that nothing has changed. That holds whatever
// the store did with the write, for all later requests, in this process or the next.
func TestFailedControlCallChangesNothing(t *testing.T) {
	for _, s := range scenes {
		for name, f := range map[string]outcome{"failed": failed, "answer lost": answerLost, "applied late": appliedLate} {
			for _, then := range []string{"events", "flush", "close", "call", "event and call"} {
				t.Run(fmt.Sprintf("%s/%s/%s", s.name, name, then), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { s.play(t, f, then) })
				})
			}
		}
	}
}

// play plays the scene, and compares it with one in which the call is never made.
func (s *scene) play(t *testing.T, f outcome, then string) {
	store, twin := newFailStore(t), newFailStore(t)
	table, other := delaying(store, flushing(time.Second)), delaying(twin, flushing(time.Second))
	both := func(e session.Event) {
		t.Helper()
		if got, want := send(t, table, "key", e), send(t, other, "key", e); got != want {
			t.Errorf("%s: got %+v, want %+v", brief(e), got, want)
		}
	}
	for _, e := range s.events {
		both(e)
	}
	if s.flushed {
		pass(time.Second)
	}
	store.set(hooks{outcome: first(f)})
	if _, err := give(table, "key", &proxied, s.call); !errors.Is(err, errDown) {
		t.Fatalf("the call did not fail: %v", err)
	}
	if got, want := current(t, table, "key", base+20), current(t, other, "key", base+20); got != want {
		t.Errorf("current is %d, want %d", got, want)
	}
	switch then {
	case "events":
		both(trackAt(base+15, 11))
		pass(5 * time.Second)
	case "flush":
		pass(5 * time.Second)
	case "call":
		both(startAt(base+15, 11))
	case "event and call":
		both(trackAt(base+14, 11))
		both(endAt(base+15, 12))
		both(startAt(base+16, 13))
	}
	if then != "close" {
		both(trackAt(base+20, 14))
	}
	for _, table := range []*Table{table, other} {
		if err := table.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if !same(store.held("key"), twin.held("key")) {
		t.Errorf("the store has %+v, want %+v", store.held("key"), twin.held("key"))
	}
	table, other = open(t, store.reopened(t), Options{}), open(t, twin.reopened(t), Options{})
	both(trackAt(base+21, 15))
	both(s.call) // sent again: it has had no effect so far
	both(trackAt(base+22, 16))
}

// same reports whether two sessions are equal except for their versions; an empty one
// equals nil.
func same(a, b *session.Session) bool {
	if a == nil || len(a.Segments) == 0 {
		return b == nil || len(b.Segments) == 0
	}
	return b != nil && a.Truncated == b.Truncated && slices.Equal(a.Segments, b.Segments)
}

// A call that fails while the queue takes no more changes by events has changed nothing
// either.
func TestFailedControlCallInAFullTable(t *testing.T) {
	const delayed = 800
	t.Cleanup(LimitDelayed(delayed))
	store := newFailStore(t)
	table := delaying(store, Options{Settings: Settings{Capacity: 2 * delayed}})
	send(t, table, "key", startAt(base, 1))
	store.set(hooks{outcome: always(answerLost)})
	for i := range delayed {
		_, _ = give(table, fmt.Sprint("key ", i), &proxied, trackAt(base, 1))
	}
	if _, err := give(table, "key", &proxied, endAt(base+5, 2)); err == nil {
		t.Fatal("the call did not fail")
	}
	store.set(hooks{})
	if id := current(t, table, "key", base+10); id != base {
		t.Errorf("current is %d", id)
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	if id := current(t, open(t, store.reopened(t), Options{}), "key", base+10); id != base {
		t.Errorf("current is %d in the next process", id)
	}
}

// A store may forget a session that was not seen for long while a change of it is
// pending, or while it is cached: the newer state is not lost with it.
func TestStoreForgets(t *testing.T) {
	forget := func(t *testing.T, store *failStore) {
		if err := store.Delete(t.Context(), "key"); err != nil {
			t.Error(err)
		}
	}
	for name, play := range map[string]func(t *testing.T, store *failStore, table *Table){
		"while a change waits": func(t *testing.T, store *failStore, table *Table) {
			send(t, table, "key", trackAt(base+1, 2))
			forget(t, store)
		},
		"before a change": func(t *testing.T, store *failStore, table *Table) {
			forget(t, store)
			send(t, table, "key", trackAt(base+1, 2))
		},
		"before a change and a call": func(t *testing.T, store *failStore, table *Table) {
			forget(t, store)
			send(t, table, "key", trackAt(base+1, 2))
			send(t, table, "key", endAt(base+2, 3))
			send(t, table, "key", startAt(base+3, 4))
		},
		"before a call": func(t *testing.T, store *failStore, table *Table) {
			send(t, table, "key", trackAt(base+1, 2))
			pass(time.Second)
			forget(t, store)
			send(t, table, "key", startAt(base+2, 3))
		},
		"while a change fails": func(t *testing.T, store *failStore, table *Table) {
			store.set(hooks{outcome: always(answerLost)})
			send(t, table, "key", trackAt(base+1, 2))
			pass(10 * time.Second)
			forget(t, store)
			store.set(hooks{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFailStore(t)
				table := open(t, store, flushing(time.Second))
				send(t, table, "key", startAt(base, 1))
				play(t, store, table)
				pass(time.Minute)
				seen := current(t, table, "key", base+5)
				next := open(t, store.reopened(t), Options{})
				if id := current(t, next, "key", base+5); id != seen || seen == 0 {
					t.Errorf("current is %d, in the next process %d", seen, id)
				}
				send(t, table, "key", endAt(base+6, 5))
				send(t, table, "key", trackAt(base+7, 6))
			})
		})
	}
}
