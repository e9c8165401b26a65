package sessionstate

// timeline is a session's segments while a transition works on them. It copies
// them at the first change: the session that they come from is shared.
type timeline struct {
	segments  []Segment
	truncated bool
	owned     bool
	change    Change
	// request has the messages of the request, of which that at index is worked
	// on.
	request []Event
	index   int
	// places has where the messages of a long request stand first; nil until it
	// is asked for.
	places map[MessageID]int32
	// began and ended say that the message began a session, and that it ended one
	// or showed it to be over.
	began, ended bool
	origin       Origin

	// links and sdk are the session's; ownLinks and ownSDK say that they are a copy.
	links            []Stretch[string]
	sdk              []Stretch[int64]
	ownLinks, ownSDK bool
	sdkWas           stretches
	timeout, cutoff  int64
	// now is when the request arrived, written when the session was last written.
	now, written int64
	// behind, if not nil, says what isBehind does, and is asked once for each
	// segment, the newest first.
	behind func(MessageID) bool
}

// empty reports whether nothing is known.
func (l *timeline) empty() bool { return len(l.segments) == 0 && len(l.links) == 0 }

// at returns the index of the segment that is current at time t, or -1 before
// the first. Of those that begin at t the last holds, but for what a message
// began that stands further behind in the same request, and came before.
func (l *timeline) at(t int64) int {
	for i := len(l.segments) - 1; i >= 0; i-- {
		if s := &l.segments[i]; s.From < t || s.From == t && !l.isBehind(s.Cause) {
			return i
		}
	}
	return -1
}

// isBehind reports whether a message stands further behind in the request than
// that which is worked on, and not before it as well.
func (l *timeline) isBehind(m MessageID) bool {
	if l.behind != nil {
		return l.behind(m)
	}
	if len(l.request) > 64 {
		return m != 0 && l.place(m) > l.index
	}
	for i := range l.request {
		if m != 0 && l.request[i].Message == m {
			return i > l.index
		}
	}
	return false
}

// place returns where a message stands first in the request, or -1. To look for
// each message through all of a request would take the square of its length.
func (l *timeline) place(m MessageID) int {
	if l.places == nil {
		l.places = make(map[MessageID]int32, len(l.request))
		for i := len(l.request) - 1; i >= 0; i-- {
			l.places[l.request[i].Message] = int32(i)
		}
	}
	if i, ok := l.places[m]; ok {
		return int(i)
	}
	return -1
}

// edit returns segment i to be changed.
func (l *timeline) edit(i int) *Segment {
	l.own(0, Changed)
	return &l.segments[i]
}

// touch returns segment i for its Last to be moved.
func (l *timeline) touch(i int) *Segment {
	l.own(0, Touched)
	return &l.segments[i]
}

func (l *timeline) own(extra int, change Change) {
	l.change = max(l.change, change)
	if !l.owned {
		l.segments = append(make([]Segment, 0, len(l.segments)+extra), l.segments...)
		l.owned = true
	}
}

// insert puts a segment after segment i, the one that is current at its From,
// and returns its index. The oldest segment makes room; a segment older than
// all of a full timeline, or of one that others were dropped from, does not
// fit, and -1 is returned.
func (l *timeline) insert(i int, s Segment) int {
	full := len(l.segments) == MaxSegments
	if i < 0 && (full || l.truncated) {
		if !l.truncated {
			l.change = max(l.change, Changed)
		}
		l.truncated = true
		return -1
	}
	l.own(1, Changed)
	var again Segment
	if i >= 0 {
		again = l.segments[i].cutAt(s.From)
	}
	if full {
		copy(l.segments, l.segments[1:i+1])
		l.segments[i] = s
		l.truncated = true
	} else {
		i++
		l.segments = append(l.segments, Segment{})
		copy(l.segments[i+1:], l.segments[i:])
		l.segments[i] = s
	}
	if again.Mode != Ended {
		return i
	}
	evicts := len(l.segments) == MaxSegments
	l.insert(i, again)
	if evicts {
		i-- // to -1 if only one of the two fits: the newer, which holds now
	}
	return i
}

// cutAt takes from a segment what happened after a moment, when another begins
// there. Where that was a second endSession, its own segment is returned.
func (s *Segment) cutAt(t int64) (again Segment) {
	switch {
	case t >= s.Last:
	case s.Mode == Ended:
		again = Segment{From: s.Last, Last: s.Last, Cause: s.Mark, Mode: Ended}
		s.Last, s.Mark = s.From, 0
	case s.Mode == Automatic:
		s.Last = t
	}
	return again
}

// supersede drops the segments behind segment i that events began which would
// not have begun them, had they known of control call e: it happened before
// them, and only arrived later.
func (l *timeline) supersede(p *Policy, e *Event, i int) {
	if i < 0 && l.truncated || i >= 0 && l.segments[i].Mode == Ended && e.Time < l.segments[i].Last {
		return // something else holds between the call and those segments
	}
	next := i + 1
	for next < len(l.segments) && l.segments[next].Origin == ByEvent &&
		(e.Kind == Start || l.segments[next].Mode == Automatic && l.segments[next].From-e.Time <= p.Timeout) {
		next++
	}
	if next > i+1 {
		l.own(0, Changed)
		l.segments = append(l.segments[:i+1], l.segments[next:]...)
	}
}

// causedBy returns the segment that a message began, or -1.
func (l *timeline) causedBy(m MessageID) int {
	if m == 0 {
		return -1
	}
	for i := len(l.segments) - 1; i >= 0; i-- {
		s := &l.segments[i]
		if s.Cause == m || s.Mode == Ended && s.Mark == m {
			return i
		}
	}
	return -1
}

// ownedBy returns the segment that a message began or whose start mark it
// carries, or -1. Where both exist the mark decides.
func (l *timeline) ownedBy(m MessageID) int {
	if m == 0 {
		return -1
	}
	for i := len(l.segments) - 1; i >= 0; i-- {
		if l.segments[i].Mark == m {
			return i
		}
	}
	return l.causedBy(m)
}

// generate makes a session id of time t: t itself, raised by one as often as
// needed to differ from every id in the timeline.
func (l *timeline) generate(t int64) int64 {
	id := min(max(t, MinID), MaxID-MaxSegments)
	for l.uses(id) {
		id++
	}
	return id
}

func (l *timeline) uses(id int64) bool {
	for i := range l.segments {
		if l.segments[i].ID == id {
			return true
		}
	}
	return false
}

// userChangedAfter reports whether a newer segment than t was begun by a change
// of user.
func (l *timeline) userChangedAfter(t int64) bool {
	for i := len(l.segments) - 1; i >= 0 && l.segments[i].From > t; i-- {
		if l.segments[i].Origin == ByIdentify {
			return true
		}
	}
	return false
}
