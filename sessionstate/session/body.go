package session

// bodyOrder knows the positions of the messages of a request that segments of the
// timeline name. When a request is delivered again, its own control calls are on the
// timeline already, and the messages before a call in the body must stay before it.
type bodyOrder struct {
	// index is the position of the message that is being applied.
	index int
	// few and more are the messages of the request that segments name. The first known
	// ones are in few, so that most requests need no allocation. (A slice of few would
	// move the whole transition to the heap.)
	few   [4]bodyPosition
	known int
	more  []bodyPosition
	// later, if not nil, is used instead of them.
	later func(MessageID) bool
}

type bodyPosition struct {
	message MessageID
	first   int
}

// find finds the messages of the request that the segments name.
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

// isLater reports whether the first occurrence of a message in the request is after
// the message that is being applied.
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

// beganBefore returns the segment that a control call comes after. That is segment i,
// which is current at the call's moment, unless an event before the call in the same
// request began a later segment of the same clock. The clock was then set back between
// the two: the event was made before the call, so its segment does not give way to it.
func (t *transition) beganBefore(i int) int {
	for j := len(t.segments) - 1; j > i && t.body.index > 0; j-- {
		if s := &t.segments[j]; s.Origin != ByControl && SameClock(&s.From, &t.when) && t.isEarlier(s.Cause) {
			return j
		}
	}
	return i
}

// isEarlier reports whether a message is in the request before the one that is being
// applied.
func (t *transition) isEarlier(m MessageID) bool {
	for i := range t.r.Events[:t.body.index] {
		if m != 0 && t.r.Events[i].Message == m {
			return true
		}
	}
	return false
}
