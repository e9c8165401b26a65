package session_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

// A request with control calls that is delivered again gets the same answers, and
// changes nothing: whether its latency differs from the first delivery's, or it waited
// and still has its first sentAt, or it has no timestamps except those of its events.
func TestRetriesAreWhereTheFirstTryWas(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		s := deliver(t, &p, distinct(drawShuffled(t)), func(int, Decision) {})
		received := base + 100_000
		tells := rapid.Bool().Draw(t, "tells its clock")
		ahead := rapid.Int64Range(-1_000_000_000, 1_000_000_000).Draw(t, "clock ahead")
		way := rapid.Int64Range(0, 50).Draw(t, "way")
		body := drawRetried(t, received-50, p.Automatic != AutomaticProxy)
		if p.Automatic == AutomaticProxy && tells {
			setBackBeforeCalls(t, body)
		}
		for i := range body {
			if tells {
				times := &body[i].Times
				times.Original += ahead
				times.Sent, times.HasSent = received-way+ahead, true
			}
		}

		var first []Decision
		s = apply(t, s, received, &p, body, func(_ int, d Decision) { first = append(first, d) })
		if s == nil {
			return
		}
		if s.Truncated {
			t.Skip("not all of the request may be known any more")
		}
		later := rapid.Int64Range(0, 119_000).Draw(t, "later")
		again := slices.Clone(body)
		if sent := rapid.SampledFrom([]string{"as before", "again"}).Draw(t, "sent"); sent == "again" {
			way = rapid.Int64Range(0, later).Draw(t, "way")
			for i := range again {
				again[i].Times.Sent = received + later - way + ahead
			}
		}
		var second []Decision
		same := apply(t, s, received+later, &p, again, func(_ int, d Decision) { second = append(second, d) })
		for i := range first {
			first[i].Repeated, second[i].Repeated = false, false
		}
		if !slices.Equal(first, second) {
			t.Fatalf("%d ms later:\n first %s\n again %s", later, showAll(first), showAll(second))
		}
		if same != s {
			t.Fatalf("changed:\n %+v\n %+v", s, same)
		}
	})
}

// drawRetried makes a request with at least one control call. Its messages mean the same
// when the ones after them are known already.
func drawRetried(t *rapid.T, from int64, setBack bool) (body []Event) {
	steps := []int64{0, 0, 1, 1}
	if setBack {
		steps = append(steps, -2)
	}
	for i := range rapid.IntRange(2, 6).Draw(t, "messages") {
		// At the same time, later, or earlier because the clock was set back.
		from += rapid.SampledFrom(steps).Draw(t, "apart")
		e := drawEvent(t, from, MessageID(1000+i))
		e.User, e.Server, e.JoinOnly, e.ColdStart, e.HasSessionStart = 0, false, false, NoColdStart, false
		body = append(body, e)
	}
	i := rapid.IntRange(0, len(body)-1).Draw(t, "call")
	body[i].Kind, body[i].ID = rapid.SampledFrom([]Kind{Start, End, Reset}).Draw(t, "kind"), 0
	ended, resets := false, 0
	for i := range body {
		e := &body[i]
		e.Message = MessageID(1000 + i)
		// Not all of several ends of one segment are remembered, nor more than two resets.
		if e.Kind == End && ended || e.Kind == Reset && resets == MaxNoOps {
			e.Kind = Other
		}
		ended = ended || e.Kind == End
		if e.Kind == Reset {
			resets++
		}
	}
	return body
}

// setBackBeforeCalls sets the clock back before some of the calls of a request.
//
// It is only set back before calls. Where the proxy makes the sessions, an event after
// another set-back could be before the first event of a session, and so in none; when
// it comes again it would be in that session, which then begins earlier than was known.
func setBackBeforeCalls(t *rapid.T, body []Event) {
	back := int64(0)
	for i := range body {
		if body[i].Kind.Control() {
			back += rapid.SampledFrom([]int64{0, 2, 20}).Draw(t, "set back")
		}
		body[i].Times.Original -= back
	}
}
