package sessionstate_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func TestMain(m *testing.M) {
	sessiontest.DefaultChecks(300)
	os.Exit(m.Run())
}

// base is the time at which the histories begin: their times are small offsets from it,
// so that many are equal.
const base int64 = 1_700_000_000_000

// original returns the timestamps of a message with an originalTimestamp and no sentAt.
func original(at int64) session.Timestamps {
	return session.Timestamps{Original: at, HasOriginal: true}
}

func request(now int64, p *session.Policy, events []session.Event) *session.Request {
	return &session.Request{Received: now, Policy: p, Events: events}
}

// drawKind draws the kinds of events, frequent ones more often.
var drawKind = rapid.SampledFrom(strings.Fields(
	"track track track track identify identify identify start start end reset cold sdk server",
))

func drawEvent(t *rapid.T, at int64, message session.MessageID) session.Event {
	e := session.Event{Times: original(at), Message: message, User: session.UserID(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(t, "user"))}
	switch drawKind.Draw(t, "kind") {
	case "track":
		e.HasSessionID = rapid.Bool().Draw(t, "own")
		e.Mobile = rapid.Bool().Draw(t, "mobile")
	case "identify":
		e.Kind = session.Identify
		e.Mobile = rapid.Bool().Draw(t, "mobile")
		e.Server = !e.Mobile && rapid.Bool().Draw(t, "server")
		e.JoinOnly = e.Server && rapid.Bool().Draw(t, "join only")
	case "start":
		e.Kind = session.Start
		// Chosen ids may equal ids that would be generated.
		e.ID = rapid.SampledFrom([]int64{0, 0, 0, 1111111111, 2222222222, base + 3, base + 9}).Draw(t, "id")
	case "end":
		e.Kind = session.End
	case "reset":
		e.Kind = session.Reset
	case "cold":
		e.ColdStart, e.Mobile = session.Opened, rapid.Bool().Draw(t, "mobile")
		e.Server = !e.Mobile && rapid.Bool().Draw(t, "server")
		e.JoinOnly = e.Server && rapid.Bool().Draw(t, "join only")
		e.HasSessionID = rapid.Bool().Draw(t, "own")
		e.HasSessionStart = e.HasSessionID && rapid.Bool().Draw(t, "opens")
	case "sdk":
		e.HasSessionID, e.HasSessionStart = true, true
		e.Mobile = rapid.Bool().Draw(t, "mobile")
	case "server":
		e.Server = true
		e.HasSessionStart = rapid.Bool().Draw(t, "opens")
		e.JoinOnly = rapid.Bool().Draw(t, "join only")
	}
	if e.Kind.Control() && rapid.IntRange(0, 3).Draw(t, "anonymous call") == 0 {
		e.Message = 0
	}
	return e
}
func drawPolicy(t *rapid.T, a session.AutomaticPolicy) session.Policy {
	return session.Policy{
		Automatic:     a,
		Timeout:       rapid.SampledFrom([]int64{2, 5, 10, 30}).Draw(t, "timeout"),
		Cutoff:        rapid.SampledFrom([]int64{0, 0, 3, 12, 40}).Draw(t, "cutoff"),
		IdentifyReset: rapid.SampledFrom([]session.IdentifyReset{session.IdentifyResetWeb, session.IdentifyResetAlways, session.IdentifyResetNever}).Draw(t, "identify_reset"),
	}
}
func brief(e session.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s #%d @%d", [...]string{"event", "identify", "START", "END", "RESET"}[e.Kind], e.Message, e.Times.Original-base)
	if e.User != 0 {
		fmt.Fprintf(&b, " user %d", e.User)
	}
	if e.ID != 0 {
		fmt.Fprintf(&b, " id %d", e.ID)
	}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{e.ColdStart != session.NoColdStart, "cold"}, {e.HasSessionID, "sessionId"}, {e.HasSessionStart, "sessionStart"},
		{e.Mobile, "mobile"}, {e.Server, "server"}, {e.JoinOnly, "join only"},
	} {
		if f.on {
			b.WriteString(" " + f.name)
		}
	}
	return b.String()
}

// manual is a session with a history: three calls and a change of user, and its start
// mark has been assigned.
func manual(b testing.TB, p *session.Policy) *session.Session {
	b.Helper()
	events := []session.Event{
		{Kind: session.Start, Times: original(base), Message: 1}, {Kind: session.End, Times: original(base + 10), Message: 2},
		{Kind: session.Start, Times: original(base + 20), Message: 3}, {Times: original(base + 20), Message: 4, User: 1},
		{Kind: session.Identify, Times: original(base + 30), Message: 5, User: 2},
	}
	s, _ := session.Transition(nil, request(base+30, p, events), make([]session.Decision, len(events)))
	return s
}

// intervalsText formats intervals: the value, the start and the end of each.
func intervalsText(list []session.Interval[string]) (text string) {
	for _, s := range list {
		text += fmt.Sprintf("%s %d-%d ", s.Value, s.From, s.Last)
	}
	return text
}

// bare returns a decision without its explanation.
func bare(d session.Decision) session.Decision {
	return session.Decision{Action: d.Action, SessionID: d.SessionID, Start: d.Start, Repeated: d.Repeated}
}
