package session

import "testing"

// The order of messages in a long request is found without a search through the request
// for each segment of each message, with the same results as in a short one.
func TestLongRequests(t *testing.T) {
	const n = 30_000
	request := make([]Event, n)
	for i := range request {
		request[i] = Event{Kind: Start, Times: Timestamps{Original: 1, HasOriginal: true}, Message: MessageID(i%(n-10) + 1)} // ten come twice
	}
	var segments []Segment
	for m := MessageID(0); m < n; m += n / MaxSegments {
		segments = append(segments, Segment{Cause: m, LastEndBy: m + 5})
	}
	var b bodyOrder
	b.find(segments, request)
	for _, index := range []int{0, 5, n / 2, n - 1} {
		b.index = index
		for i := range segments {
			for _, m := range []MessageID{segments[i].Cause, segments[i].LastEndBy} {
				if got, want := b.isLater(m), m != 0 && m <= n-10 && int(m)-1 > index; got != want {
					t.Fatalf("message %d seen from %d: %v", m, index, got)
				}
			}
		}
	}
	s, _ := Transition(nil, &Request{Received: 10, Policy: &Policy{}, Events: request}, make([]Decision, n))
	if len(s.Segments) != MaxSegments {
		t.Errorf("%+v", s)
	}
}
