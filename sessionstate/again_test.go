package sessionstate_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	. "github.com/rudder-session/rudder-session/sessionstate"
)

// A request with control calls in it that comes again is answered as before,
// and changes nothing: whether its way took another time than at first, or it
// waited and says still that it was sent at the first.
func TestRequestsThatComeAgain(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		s := deliver(t, &p, distinct(drawShuffled(t)), func(int, Decision) {})
		now := base + 100_000
		var request []Event
		at := now - 50
		for i := range rapid.IntRange(2, 6).Draw(t, "messages") {
			at += rapid.Int64Range(0, 1).Draw(t, "apart") // of one moment, or of several
			e := drawEvent(t, at, MessageID(1000+i))
			// Nothing that means another thing once what came behind it is known.
			e.User, e.Server, e.Visitor, e.ColdStart, e.HasSessionStart = 0, false, false, false, false
			request = append(request, e)
		}
		i := rapid.IntRange(0, len(request)-1).Draw(t, "call")
		request[i].Kind, request[i].ID = rapid.SampledFrom([]Kind{Start, End}).Draw(t, "kind"), 0
		ended := false
		for i := range request {
			e := &request[i]
			e.Message = MessageID(1000 + i)
			// Of several ends of one stretch not all are known.
			if e.Kind == End && ended {
				e.Kind = Other
			}
			ended = ended || e.Kind == End
		}

		var first []Decision
		s = apply(t, s, now, &p, request, func(_ int, d Decision) { first = append(first, d) })
		if s.Truncated {
			t.Skip("not all of the request may be known any more")
		}
		by := rapid.SampledFrom([]int64{0, -20, 20, 49, 5000}).Draw(t, "later")
		again := slices.Clone(request)
		for i := range again {
			again[i].Time += by
		}
		var second []Decision
		same := apply(t, s, max(now+by, now), &p, again, func(_ int, d Decision) { second = append(second, d) })
		for i := range first {
			first[i].Repeated, second[i].Repeated = false, false
		}
		if !slices.Equal(first, second) {
			t.Fatalf("%d ms later:\n first %+v\n again %+v", by, first, second)
		}
		if same != s {
			t.Fatalf("changed:\n %+v\n %+v", s, same)
		}
	})
}
