package sessionstate_test

import (
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// A request whose session has to be read from the store first gets the same decisions
// as with the session in memory: its own lags are not taken for an earlier request's.
func TestLagsCountOnce(t *testing.T) {
	policy := session.Policy{Automatic: session.AutomaticProxy, Timeout: 60_000}
	// The first message took a second longer than the second.
	events := make([]session.Event, 2)
	for i := range events {
		at := base + int64(i)*100_000
		events[i] = session.Event{Message: session.MessageID(i + 1), Times: session.Timestamps{
			Original: at, HasOriginal: true, Sent: base + 200_000 + int64(i)*1000, HasSent: true,
		}}
	}
	decide := func(now bool) (ids [2]int64) {
		table := open(t, newFailStore(t), Options{})
		r := request(base+202_000, &policy, events)
		decisions := make([]session.Decision, 2)
		if now && table.ApplyNow(new(Scratch), "key", r, decisions) {
			t.Fatal("decided without the store")
		}
		if err := table.Apply(t.Context(), "key", r, decisions); err != nil {
			t.Fatal(err)
		}
		return [2]int64{decisions[0].SessionID, decisions[1].SessionID}
	}
	want := [2]int64{base + 2000, base + 101_000}
	if direct, tried := decide(false), decide(true); direct != want || tried != want {
		t.Errorf("began at %d, and where it was tried in memory first at %d, want %d", direct, tried, want)
	}
}
