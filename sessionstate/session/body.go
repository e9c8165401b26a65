package session

// bodyOrder knows where the messages of a request stand, as far as segments are
// concerned that are on the timeline already: a request that is delivered again
// finds its own control calls there, and what stood before one in the body stays
// before it.
type bodyOrder struct {
	// index is where the message stands that is worked on.
	index int
	// repeats are the messages of the request that segments name.
	repeats []bodyPosition
	buffer  [4]bodyPosition
	// later, if not nil, answers in the place of repeats.
	later func(MessageID) bool
}

type bodyPosition struct {
	message MessageID
	first   int
}

// find notes which messages of the request the segments name.
func (b *bodyOrder) find(segments []Segment, request []Event) {
	if len(request) < 2 {
		return
	}
	b.repeats = b.buffer[:0]
	for i := range segments {
		b.note(segments[i].Cause, request)
		b.note(segments[i].LastEndBy, request)
	}
}

func (b *bodyOrder) note(m MessageID, request []Event) {
	if m == 0 {
		return
	}
	for i := range request {
		if request[i].Message == m {
			b.repeats = append(b.repeats, bodyPosition{m, i})
			return
		}
	}
}

// isLater reports whether a message stands later in the request than the one
// that is worked on, and not before it as well.
func (b *bodyOrder) isLater(m MessageID) bool {
	if b.later != nil {
		return b.later(m)
	}
	for i := range b.repeats {
		if b.repeats[i].message == m && m != 0 {
			return b.repeats[i].first > b.index
		}
	}
	return false
}
