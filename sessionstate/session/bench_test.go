package session_test

import (
	"fmt"
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

var policy = Policy{Timeout: 30 * 60_000, Retention: 400 * 24 * 3600_000}

// manual is a session with a history: three calls and a change of user, and its start
// mark has been assigned.
func manual(b testing.TB, p *Policy) *Session {
	b.Helper()
	events := []Event{
		{Kind: Start, Times: original(base), Message: 1}, {Kind: End, Times: original(base + 10), Message: 2},
		{Kind: Start, Times: original(base + 20), Message: 3}, {Times: original(base + 20), Message: 4, User: 1},
		{Kind: Identify, Times: original(base + 30), Message: 5, User: 2},
	}
	s, _ := Transition(nil, request(base+30, p, events), make([]Decision, len(events)))
	return s
}

// The cost of the hot path alone: messages of a known session that change nothing.
func BenchmarkTransition(b *testing.B) {
	s := manual(b, &policy)
	for _, n := range []int{1, 20} {
		b.Run(fmt.Sprintf("unchanged/messages=%d", n), func(b *testing.B) {
			events := make([]Event, n)
			for i := range events {
				events[i] = Event{Times: original(base + 100 + int64(i)), Message: MessageID(100 + i), User: 2}
			}
			decisions := make([]Decision, n)
			r := request(base+1000, &policy, events)
			b.ReportAllocs()
			for b.Loop() {
				if _, change := Transition(s, r, decisions); change != Unchanged {
					b.Fatal("changed")
				}
			}
		})
	}
	// Each is newer than all before it, and so extends the session.
	b.Run("adopted/messages=1", func(b *testing.B) {
		p := policy
		p.Automatic = AutomaticAdopt
		e := Event{Times: original(base), Message: 1, ID: base, HasSessionID: true, HasIDKey: true}
		decisions := make([]Decision, 1)
		s, _ := Transition(nil, request(base, &p, []Event{e}), decisions)
		r := request(base+3_600_000, &p, []Event{e})
		b.ReportAllocs()
		for b.Loop() {
			r.Events[0].Times.Original++
			r.Events[0].Message = MessageID(r.Events[0].Times.Original)
			s, _ = Transition(s, r, decisions)
		}
	})
	b.Run("new", func(b *testing.B) {
		p := policy
		p.Automatic = AutomaticProxy
		events, decisions := []Event{{Times: original(base), Message: 1}}, make([]Decision, 1)
		b.ReportAllocs()
		for b.Loop() {
			if _, change := Transition(nil, request(base, &p, events), decisions); change != Write {
				b.Fatal("not changed")
			}
		}
	})
}

// limiter keeps some messages of a request from beginning a session.
type limiter map[int]bool

func (l limiter) Allow(i int) bool { return !l[i] }

// A limited call changes nothing, and is recognized when it comes again.
func TestLimitedCalls(t *testing.T) {
	s := manual(t, &policy)
	events := []Event{
		{Kind: Start, Times: original(base + 50), Message: 90},
		{Kind: Reset, Times: original(base + 50), Message: 91},
		{Kind: Start, Times: original(base + 50), Message: 3},
	}
	decisions := make([]Decision, len(events))
	r := request(base+60, &policy, events)
	r.Starts = limiter{0: true, 1: true, 2: true}
	if next, change := Transition(s, r, decisions); next != s || change != Unchanged {
		t.Errorf("changed: %+v", next)
	}
	if decisions[0].Because.Reason != Limited || decisions[1].Because.Reason != Limited || !decisions[2].Repeated {
		t.Errorf("%+v", decisions)
	}
}
