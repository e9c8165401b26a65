package sessionstate_test

import (
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// A session that an SDK began costs one write, and its later events none: like those
// of the proxy's own sessions, its extensions are written only now and then.
func TestAdoptedSessionsCostOneWrite(t *testing.T) {
	w := newLateWorld(t)
	w.policy.Automatic = session.AutomaticAdopt
	event := func(at int64) session.Decision {
		t.Helper()
		w.next++
		var d [1]session.Decision
		e := trackAt(base+at, w.next)
		e.ID, e.HasSessionID, e.HasIDKey = base, true, true
		if err := w.a.Apply(t.Context(), "key", request(base+at, &w.policy, []session.Event{e}), d[:]); err != nil {
			t.Fatal(err)
		}
		return d[0]
	}
	before := w.store.counts()
	if d := event(0); !d.Start || d.SessionID != base || !d.Because.Adopted {
		t.Errorf("the first event: %+v", d)
	}
	if got := w.store.since(before); got.swaps != 1 {
		t.Errorf("a new session asked %+v", got)
	}
	before = w.store.counts()
	for i := range int64(180) {
		if d := event((1 + i) * 1000); d.Start || d.SessionID != base {
			t.Errorf("event %d: %+v", i, d)
		}
	}
	if got := w.store.since(before); got.swaps != 0 || got.gets != 0 {
		t.Errorf("three minutes of events asked %+v", got)
	}
}
