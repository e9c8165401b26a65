package sessionstate

// withoutSession answers an event for whose moment there is no manual session
// and no end: the automatic policy decides. i is the segment that is current
// at that moment, or -1.
func (l *timeline) withoutSession(p *Policy, e *Event, i int) Decision {
	if p.Automatic != AutomaticProxy {
		return p.unsessioned()
	}
	if j := l.join(p, e, i); j >= 0 {
		return l.decide(p, e, l.identify(p, e, j))
	}
	if e.Visitor {
		return because(NoSession)
	}
	lapsed := i >= 0 && l.segments[i].Mode == Automatic
	s := Segment{
		From: e.Time, Last: e.Time, Mode: Automatic, ID: l.generate(e.Time),
		Mark: e.Message, Cause: e.Message, Origin: e.origin(),
	}
	s.setUser(e)
	j := l.insert(i, s)
	if j < 0 {
		// Older than all of a full timeline: nothing can be known of it.
		l.ended = false
		return because(TooOld)
	}
	l.began, l.ended, l.origin = true, l.ended || lapsed, s.Origin
	return Decision{Action: Stamp, SessionID: s.ID, Start: true, Because: Because{Reason: InAutomaticSession}}
}

// join finds the automatic session that the event falls into, or within a
// timeout of, and extends it to the event. It returns -1 where there is none:
// the event begins one.
func (l *timeline) join(p *Policy, e *Event, i int) int {
	if i >= 0 && l.segments[i].Mode == Automatic && p.joins(&l.segments[i], e.Time) {
		if e.Time > l.segments[i].Last && !e.Visitor {
			l.touch(i).Last = e.Time
		}
		return i
	}
	if i >= 0 && l.segments[i].Mode == Ended && e.Time < l.segments[i].Last {
		return -1 // ended again before the next session
	}
	// A late event may come before the session's first one that was seen.
	if i++; i < len(l.segments) && l.segments[i].Mode == Automatic && p.precedes(&l.segments[i], e.Time) {
		if !e.Visitor {
			l.edit(i).From = e.Time
		}
		return i
	}
	return -1
}

// joins reports whether an event at time t, not before the automatic session's
// start, belongs to it.
func (p *Policy) joins(s *Segment, t int64) bool {
	return t <= s.Last || t-s.Last <= p.Timeout && (p.Cutoff == 0 || t-s.From <= p.Cutoff)
}

// precedes reports whether an event at time t, before the automatic session's
// start, belongs to it. A session that an identify or a control call began has
// its start there.
func (p *Policy) precedes(s *Segment, t int64) bool {
	return (s.Origin == ByEvent || s.Origin == ByRestart) && s.From-t <= p.Timeout && (p.Cutoff == 0 || s.Last-t <= p.Cutoff)
}
