package sessionstate_test

import (
	"testing"
	"testing/synctest"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// lateWorld is two processes over one store, with automatic sessions.
type lateWorld struct {
	*pair
	t      *testing.T
	policy session.Policy
	next   session.MessageID
}

// track sends an event that happened at a time and arrives now, and reports whether it
// began a session.
func (w *lateWorld) track(table *Table, at, now int64) (began bool) {
	w.t.Helper()
	w.next++
	var d [1]session.Decision
	e := []session.Event{trackAt(base+at, w.next)}
	if err := table.Apply(w.t.Context(), "key", request(base+now, &w.policy, e), d[:]); err != nil {
		w.t.Error(err)
	}
	return d[0].Because.Began
}

func newLateWorld(t *testing.T) *lateWorld {
	return &lateWorld{
		pair: newPair(t, flushing(100*time.Millisecond)), t: t,
		policy: session.Policy{Automatic: session.AutomaticProxy, Timeout: 30 * minutes},
	}
}

// The events of a device that was offline are one session, whichever process each of
// them goes through, and however quickly they follow each other.
func TestLateEventsOfOneSession(t *testing.T) {
	for name, heard := range map[string]bool{"heard": true, "not heard": false} {
		t.Run(name, func(t *testing.T) {
			for _, ages := range [][]int64{
				{60, 40, 20, 0}, {60, 31, 2}, {60, 57, 30, 28, 0}, {600, 571, 542, 513, 500}, {29, 0}, {60, 56, 52, 48, 30, 10, 0},
			} {
				for switched := 1; switched < len(ages); switched++ {
					w := newLateWorld(t)
					began, table := 0, w.a
					for i, age := range ages {
						if i == switched {
							if table = w.b; heard {
								w.there.changed("key")
							}
						}
						if w.track(table, -age*minutes, int64(i)) {
							began++
						}
					}
					if began != 1 {
						t.Errorf("%v minutes ago, the other process from the %dth: %d sessions", ages, switched, began)
					}
				}
			}
		})
	}
}

// Small extensions by events that are not late are delayed as usual.
func TestWhatIsNotLateIsDelayed(t *testing.T) {
	w := newLateWorld(t)
	w.track(w.a, 0, 0)
	before := w.store.counts()
	for i := range int64(20) {
		at := (1 + i) * 3 * minutes
		w.track(w.a, at-minutes, at) // from a device that sends each minute
	}
	if got := w.store.since(before); got.swaps > 0 {
		t.Errorf("asked %+v", got)
	}
	w.track(w.a, 70*minutes, 70*minutes)
	if got := w.store.since(before); got.swaps != 1 {
		t.Errorf("after a pause: asked %+v", got)
	}
	// An event within the known length of the session need not be written.
	w.track(w.a, 10*minutes, 70*minutes)
	if got := w.store.since(before); got.swaps != 1 {
		t.Errorf("a late event in between: asked %+v", got)
	}
}

// While the store accepts no writes, events of known sessions are still stamped:
// extensions that should be written at once are written when it works again.
func TestLateEventsGoOnWithoutWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLateWorld(t)
		w.track(w.a, -60*minutes, 0)
		w.store.set(hooks{outcome: always(failed)})
		if w.track(w.a, -40*minutes, 0) || w.track(w.a, -20*minutes, 0) {
			t.Error("a session was begun")
		}
		w.store.set(hooks{})
		pass(time.Minute)
		if got := last(w.store.held("key")); got != -20*minutes {
			t.Errorf("the store has the state of %d", got)
		}
	})
}
