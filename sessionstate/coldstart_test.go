package sessionstate_test

import (
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// An Application Updated that ended no session is not written. Yet it is remembered
// when a control call without a timestamp follows: the Application Opened of the same
// app start does not end the session that the call begins. What the call writes is
// enough for another process to know this as well.
func TestAnUpdateThatEndedNothing(t *testing.T) {
	store := memorystore.New()
	defer store.Close()
	var policy session.Policy
	apply := func(table *Table, now int64, e session.Event) session.Decision {
		t.Helper()
		var d [1]session.Decision
		if err := table.Apply(t.Context(), "key", request(now, &policy, []session.Event{e}), d[:]); err != nil {
			t.Fatal(err)
		}
		return d[0]
	}
	coldStart := func(message session.MessageID, at int64, kind session.ColdStart) session.Event {
		return session.Event{
			Message: message, Mobile: true, ColdStart: kind, ID: 1_700_000_000, HasSessionID: true, HasIDKey: true,
			HasSessionStart: kind == session.Updated, HasStartKey: kind == session.Updated,
			Times: session.Timestamps{Original: at, Sent: at, HasOriginal: true, HasSent: true},
		}
	}

	one := NewTable(store, Options{Settings: Settings{Capacity: 10}})
	defer one.Close()
	apply(one, base+50, coldStart(1, base, session.Updated))
	if s, err := store.Get(t.Context(), "key"); s != nil || err != nil {
		t.Errorf("the store has %+v, %v", s, err)
	}
	apply(one, base+100, session.Event{Kind: session.Start, Message: 2, ID: 1_111_111_111})
	other := NewTable(store, Options{Settings: Settings{Capacity: 10}})
	defer other.Close()
	if d := apply(other, base+150, coldStart(3, base+100, session.Opened)); d.SessionID != 1_111_111_111 {
		t.Errorf("Application Opened of the same start is %+v", d)
	}
	if d := apply(other, base+10_050, coldStart(4, base+10_000, session.Opened)); d.Action != session.Keep || !d.Because.Ended {
		t.Errorf("that of another is %+v", d)
	}
}
