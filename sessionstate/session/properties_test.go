package session_test

import (
	"testing"

	"pgregory.net/rapid"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

// In a session that was begun by a call, exactly one event carries the mark, however
// often it is sent: the first to arrive.
func TestOneMarkForEachSession(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		events := distinct(drawShuffled(t))
		owner := map[int64]MessageID{}
		armed := map[MessageID]bool{}
		deliver(t, &p, events, func(i int, got Decision) {
			e := events[i]
			switch {
			case e.Kind.Control():
				// startSession with the same id begins the session anew.
				if e.ID != 0 && !got.Repeated && !armed[e.Message] {
					delete(owner, e.ID)
				}
				armed[e.Message] = e.Message != 0
			case got.Action != Stamp:
			case e.JoinOnly && !got.Start && p.Automatic == AutomaticProxy && owner[got.SessionID] == 0:
				// It joins an automatic session that began with a call.
			case owner[got.SessionID] == 0:
				if !got.Start {
					t.Fatalf("%s: the first event of session %d has no mark", brief(e), got.SessionID)
				}
				owner[got.SessionID] = e.Message
			case got.Start != (owner[got.SessionID] == e.Message):
				t.Fatalf("%s: the mark of session %d belongs to #%d", brief(e), got.SessionID, owner[got.SessionID])
			}
		})
	})
}

// distinct makes chosen ids, messageIds of calls and times of messages unique:
// otherwise one id can belong to several sessions at once.
func distinct(events []Event) []Event {
	n := int64(len(events))
	for i := range events {
		e := &events[i]
		if e.Message == 0 {
			e.Message = MessageID(i + 1)
		}
		e.Times.Original = base + (e.Times.Original-base)*n + int64(e.Message)%n
		if e.ID != 0 {
			e.ID = 1111111111 + int64(e.Message)
		}
	}
	return events
}

// A generated id differs from all ids, generated or chosen, that are in the timeline at
// that time.
func TestGeneratedIDsDiffer(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		events := drawShuffled(t)
		var s *Session
		for i, e := range events {
			before := map[int64]int{}
			if s != nil {
				for _, x := range s.Segments {
					before[x.ID]++
				}
			}
			s = apply(t, s, base+1000, &p, events[i:i+1], func(_ int, got Decision) {
				generated := e.Kind.Control() && e.ID == 0 && !got.Repeated && got.SessionID != 0
				if generated && before[got.SessionID] > 0 {
					t.Fatalf("%s: %d is in use", brief(e), got.SessionID)
				}
			})
			if s == nil || e.Kind == Start && e.ID != 0 {
				continue
			}
			after := map[int64]int{}
			for _, x := range s.Segments {
				if x.Mode == Automatic && x.Origin == ByRestart && before[x.ID] > 0 {
					continue // the rest of a session that a late call has split
				}
				if after[x.ID]++; x.ID != 0 && after[x.ID] > max(before[x.ID], 1) {
					t.Fatalf("%s: %d is there %d times", brief(e), x.ID, after[x.ID])
				}
			}
		}
	})
}

// A message that arrives again before any other gets the same answer, and changes
// nothing.
func TestAgainChangesNothing(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		events := drawShuffled(t)
		var s *Session
		for i, e := range events {
			var one Decision
			s = apply(t, s, base+1000, &p, events[i:i+1], func(_ int, got Decision) { one = got })
			if e.Message == 0 {
				continue // without a messageId each is new
			}
			same := apply(t, s, base+1000, &p, events[i:i+1], func(_ int, got Decision) {
				got.Repeated, one.Repeated = false, false
				if got != one {
					t.Fatalf("%s\n once  %+v\n again %+v", brief(e), one, got)
				}
			})
			if same != s {
				t.Fatalf("%s again: session went from\n %+v to\n %+v", brief(e), s, same)
			}
		}
	})
}

// Manual sessions alone do not depend on the order of arrival at all, as long as the
// timeline has room for them: the newest call before a time decides. (Except for middle
// ends of an ended segment, see F: the histories here have none that is forgotten.)
func TestManualSessionsInAnyOrder(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		n := rapid.IntRange(1, MaxSegments).Draw(t, "calls")
		var calls []Event
		ends := 0
		for i := range n {
			e := Event{Kind: Start, Times: original(base + 10*int64(i)), Message: MessageID(1 + i), ID: 1111111111 + int64(i)}
			// An ended segment remembers two ends only.
			if ends < 2 && rapid.Bool().Draw(t, "end") {
				e.Kind, e.ID = End, 0
				ends++
			}
			calls = append(calls, e)
		}
		s := deliver(t, &p, rapid.Permutation(calls).Draw(t, "arrival"), func(int, Decision) {})
		// The first times after a call, one in between, and the last.
		within := rapid.Int64Range(2, 8).Draw(t, "within")
		for i := range 4 * n {
			call := calls[i/4]
			at := base + 10*int64(i/4) + []int64{0, 1, within, 9}[i%4]
			e := Event{Times: original(at), Message: 100, Mobile: true}
			want := Decision{Action: Stamp, SessionID: call.ID, Start: true}
			if call.Kind == End {
				want = Decision{Action: Clear}
			}
			apply(t, s, base+1000, &p, []Event{e}, func(_ int, got Decision) {
				if got != want {
					t.Fatalf("at %d: got %+v, want %+v", at-base, got, want)
				}
			})
		}
	})
}
