package session

// timeline is the segments of a session during a transition. It copies them before
// the first change, because the session that they come from is shared.
type timeline struct {
	segments  []Segment
	truncated bool
	owned     bool
	change    Change

	body bodyOrder
}

// edit returns segment i for a change.
func (l *timeline) edit(i int) *Segment { return l.editAs(i, Write) }

// editAs returns segment i for a change that is less urgent.
func (l *timeline) editAs(i int, change Change) *Segment {
	l.own(0, change)
	return &l.segments[i]
}

func (l *timeline) own(extra int, change Change) {
	l.change = max(l.change, change)
	if !l.owned {
		l.segments = append(make([]Segment, 0, len(l.segments)+extra), l.segments...)
		l.owned = true
	}
}

// at returns the index of the segment that is current at a moment, or -1 before the
// first. If several segments start at that moment, the last one wins, except segments
// begun by a message later in this request, whatever their time.
func (l *timeline) at(m *Moment) int {
	for i := len(l.segments) - 1; i >= 0; i-- {
		if s := &l.segments[i]; !Before(m, &s.From) && !l.body.isLater(s.Cause) {
			return i
		}
	}
	return -1
}

// endedAt returns the newest end of an ended segment before a message of moment m.
func (l *timeline) endedAt(s *Segment, m *Moment) *Moment {
	if s.LastEnd.IsZero() || Before(m, &s.LastEnd) || l.body.isLater(s.LastEndBy) {
		return &s.From
	}
	return &s.LastEnd
}

// insert puts a segment after segment i, which is current at the new segment's From,
// and returns its index. A full timeline drops its oldest segment. If the new segment
// itself would be the oldest of a full or truncated timeline, it is not inserted, and
// insert returns -1.
func (l *timeline) insert(i int, s Segment) int {
	full := len(l.segments) == MaxSegments
	if i < 0 && (full || l.truncated) {
		if !l.truncated {
			l.change = max(l.change, Write)
		}
		l.truncated = true
		return -1
	}
	l.own(1, Write)
	var rest Segment
	hasRest := false
	if i >= 0 {
		rest, hasRest = l.segments[i].cut(&s)
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
	if !hasRest {
		return i
	}
	evicts := len(l.segments) == MaxSegments
	l.insert(i, rest)
	if evicts {
		i-- // to -1 if only one of the two fits, which is the newer one
	}
	return i
}

// cut cuts a segment off where another one begins in it. It returns the part that
// comes after the other one, if there is any: since the newest end of an ended
// segment, or since a cold start of the app whose session this is.
func (s *Segment) cut(by *Segment) (rest Segment, hasRest bool) {
	t := &by.From
	switch s.Mode {
	case Ended:
		if s.LastEnd.IsZero() || !Before(t, &s.LastEnd) {
			return rest, false
		}
		rest = Segment{From: s.LastEnd, Cause: s.LastEndBy, Mode: Ended}
		s.LastEnd, s.LastEndBy = Moment{}, 0
		return rest, true
	case Manual:
		// A manual session continues over a cold start; an end does not.
		if by.Mode == Ended && Before(t, &s.Restart) {
			rest, hasRest = Segment{From: s.Restart, Origin: ByRestart}, true
		}
		s.giveRestart(by)
	case Automatic:
		if rest, hasRest = s.sinceRestart(by); hasRest {
			s.Restart, s.RestartWithID = Moment{}, false
		}
		s.giveRestart(by)
		if Before(t, &s.Last) && !Before(t, &s.From) {
			s.Last = *t
		}
	}
	return rest, hasRest
}

// giveRestart moves a cold start to another segment that begins before it, because it
// limits an end that is made before the cold start and arrives later than both.
func (s *Segment) giveRestart(by *Segment) {
	if !Before(&by.From, &s.Restart) {
		return
	}
	if !s.sawOpened() && (by.Mode == Manual || by.Mode == Automatic) && Before(&by.Restart, &s.Restart) {
		by.Restart, by.RestartWithID = s.Restart, s.RestartWithID
	}
	s.Restart, s.RestartWithID = Moment{}, false
}

// sinceRestart returns the part of an automatic session that another segment, which
// begins in it or before it, does not replace. An end has effect until the next cold
// start of the app, a manual session until a cold start with a session id of the SDK's
// own.
func (s *Segment) sinceRestart(by *Segment) (rest Segment, ok bool) {
	if s.Restart.IsZero() || !Before(&by.From, &s.Restart) || s.sawOpened() ||
		by.Mode != Ended && !(by.Mode == Manual && s.RestartWithID) {
		return rest, false
	}
	rest = *s
	rest.From, rest.Origin, rest.Cause = s.Restart, ByRestart, 0
	rest.Restart, rest.RestartWithID = Moment{}, false
	return rest, true
}

// supersede removes the segments after segment i that would not exist if the late
// control call e had arrived in time: events after e began them. by is the segment that
// e is about to begin. It returns the new index of segment i.
//
// Adopted sessions among them are not removed but moved before segment i, where no
// event falls into them: if the SDK continues one, its id and its mark are known.
func (l *timeline) supersede(p *Policy, e *Event, by *Segment, i int) int {
	if i < 0 && l.truncated || i >= 0 && l.segments[i].Mode == Ended && Before(&by.From, l.segments[i].end()) {
		return i // another segment is between the call and those segments
	}
	next := i + 1
	for next < len(l.segments) && p.givesWay(&l.segments[next], e, by) {
		if rest, ok := l.segments[next].sinceRestart(by); ok {
			l.own(0, Write)
			l.segments[next] = rest
			break
		}
		if dropped := l.segments[next]; dropped.Mode == Automatic {
			dropped.giveRestart(by)
		}
		next++
	}
	if next == i+1 {
		return i
	}
	from, before := by.From, i+1
	if i >= 0 {
		from, before = l.segments[i].From, i
	}
	segments := append(make([]Segment, 0, len(l.segments)+1), l.segments[:before]...)
	for _, s := range l.segments[i+1 : next] {
		if s.Mode == Adopted {
			s.From = from
			segments = append(segments, s)
		}
	}
	moved := len(segments) - before
	segments = append(segments, l.segments[before:i+1]...)
	l.segments, l.owned, l.change = append(segments, l.segments[next:]...), true, max(l.change, Write)
	return i + moved
}

// givesWay reports whether a late control call that happened before a segment replaces
// it. Segments begun by control calls, cold starts and changes of user stay. Segments
// begun by events give way to a startSession; to an endSession only if they would not
// have begun after it.
func (p *Policy) givesWay(s *Segment, e *Event, by *Segment) bool {
	switch s.Origin {
	case ByEvent:
		return e.Kind == Start || s.Mode != Automatic || Sub(&s.From, &by.From) <= p.Timeout
	case ByOpening:
		return e.Kind == Start
	}
	return false
}

// causedBy returns the segment that a message began or, as a second endSession, ended
// again; or -1.
func (l *timeline) causedBy(m MessageID) int {
	if m == 0 {
		return -1
	}
	for i := len(l.segments) - 1; i >= 0; i-- {
		if s := &l.segments[i]; s.Cause == m || s.LastEndBy == m {
			return i
		}
	}
	return -1
}

// ownedBy returns the segment whose start mark a message carries or else the one that
// it began; or -1.
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

// generate returns a new session id: time t, raised by one until it differs from every
// id in the timeline.
func (l *timeline) generate(t int64) int64 {
	id := min(max(t, MinID), MaxID-MaxSegments)
	for l.indexOf(id) >= 0 {
		id++
	}
	return id
}

// indexOf returns the newest segment with a session id, or -1.
func (l *timeline) indexOf(id int64) int {
	for i := len(l.segments) - 1; i >= 0; i-- {
		if l.segments[i].ID == id {
			return i
		}
	}
	return -1
}

// limitFuture moves stored moments that are later than the arrival of the request to
// that arrival: the clock of another proxy, or this one's before it was set, was ahead.
// So a control call without timestamps, which happens when it arrives, is not before
// the newest segment. If a moment was ahead by more than a minute, the session is
// written, so that the moment does not count again once the clock has reached it.
func (l *timeline) limitFuture(now int64) {
	newest := now
	for i := range l.segments {
		s := &l.segments[i]
		newest = max(newest, s.From.Time, s.Last.Time, s.LastEnd.Time, s.UserAt.Time, s.Restart.Time)
	}
	if newest == now {
		return
	}
	change := Unchanged
	if newest-now > 60_000 {
		change = Write
	}
	l.own(0, change)
	for i := range l.segments {
		s := &l.segments[i]
		for _, m := range []*Moment{&s.From, &s.Last, &s.LastEnd, &s.UserAt, &s.Restart} {
			m.Time = min(m.Time, now)
		}
	}
}
