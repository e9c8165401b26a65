package session

// bodyOrder knows where the messages of a request stand, as far as segments are
// concerned that are on the timeline already: a request that is delivered again
// finds its own control calls there, and what stood before one in the body stays
// before it.
type bodyOrder struct {
	// index is where the message stands that is worked on.
	index int
	// few and more are the messages of the request that segments name: the first
	// known ones are in few, so that a request in order needs no memory. A slice of
	// few would move the whole transition to the heap.
	few   [4]bodyPosition
	known int
	more  []bodyPosition
	// later, if not nil, answers in their place.
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
			b.add(bodyPosition{m, i})
			return
		}
	}
}

func (b *bodyOrder) add(p bodyPosition) {
	if b.known < len(b.few) {
		b.few[b.known] = p
		b.known++
		return
	}
	b.more = append(b.more, p)
}

// isLater reports whether a message stands later in the request than the one
// that is worked on, and not before it as well.
func (b *bodyOrder) isLater(m MessageID) bool {
	if b.later != nil {
		return b.later(m)
	}
	if m == 0 {
		return false
	}
	for i := range b.few[:b.known] {
		if b.few[i].message == m {
			return b.few[i].first > b.index
		}
	}
	for i := range b.more {
		if b.more[i].message == m {
			return b.more[i].first > b.index
		}
	}
	return false
}

// beganBefore returns the segment that a control call comes after: i, the one that
// is current at its moment, or one that an event before it in the same request
// began. If that is later by the same clock, the clock was set back in between: the
// event was made before the call, and what it began does not give way to it.
func (t *transition) beganBefore(i int) int {
	for j := len(t.segments) - 1; j > i && t.body.index > 0; j-- {
		if s := &t.segments[j]; s.Origin != ByControl && SameClock(&s.From, &t.when) && t.isEarlier(s.Cause) {
			return j
		}
	}
	return i
}

// isEarlier reports whether a message stands before the one that is worked on.
func (t *transition) isEarlier(m MessageID) bool {
	for i := range t.r.Events[:t.body.index] {
		if m != 0 && t.r.Events[i].Message == m {
			return true
		}
	}
	return false
}
