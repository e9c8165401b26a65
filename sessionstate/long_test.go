package sessionstate

import "testing"

// Where a message stands in a long request is found without walking through it,
// and is the same as in a short one.
func TestLongRequests(t *testing.T) {
	const n = 30_000
	long := timeline{request: make([]Event, n)}
	for i := range long.request {
		long.request[i] = Event{Kind: Start, Time: 1, Message: MessageID(i%(n-10) + 1)} // ten come twice
	}
	for _, index := range []int{0, 5, n / 2, n - 1} {
		long.index = index
		for m := MessageID(0); m < n; m += 7 {
			if got, want := long.isBehind(m), m != 0 && m <= n-10 && int(m)-1 > index; got != want {
				t.Fatalf("message %d seen from %d: %v", m, index, got)
			}
		}
	}
	if len(long.places) != n-10 {
		t.Errorf("%d places", len(long.places))
	}
	events := long.request
	s, _ := Transition(nil, 10, &Policy{}, events, make([]Decision, n))
	if len(s.Segments) != MaxSegments {
		t.Errorf("%+v", s)
	}
}
