package session

// Automatic sessions (docs/sessions.md).

// withoutSession decides by the automatic policy about an event that is in neither a
// manual session nor an ended segment. i is the segment that is current at its moment,
// or -1.
func (t *transition) withoutSession(e *Event, i int) Decision {
	switch t.p.Automatic {
	case AutomaticProxy:
		return t.automatic(e, i)
	case AutomaticAdopt:
		return t.adopt(e, i)
	}
	d := t.p.unsessioned()
	if i >= 0 {
		d.Compared = t.compared(&t.segments[i])
	}
	return d
}

// automatic finds the automatic session that the event is in, or begins one.
func (t *transition) automatic(e *Event, i int) Decision {
	if j := t.join(e, i); j >= 0 {
		t.noteRestart(e, j)
		return t.decide(e, t.changeUser(e, j))
	}
	if e.JoinOnly {
		return because(NoSession)
	}
	lapsed := i >= 0 && t.segments[i].Mode == Automatic
	s := Segment{
		From: t.when, Last: t.when, Mode: Automatic, ID: t.generate(t.when.Time),
		Mark: e.Message, Cause: e.Message, Origin: e.origin(),
	}
	t.setUser(&s, e)
	if t.insert(i, s) < 0 {
		// It is older than a full timeline.
		t.ended = false
		return t.tooOld()
	}
	t.began, t.ended, t.origin = true, t.ended || lapsed, s.Origin
	return Decision{Action: Stamp, SessionID: s.ID, Start: true, Because: Because{Reason: InAutomaticSession}}
}

// join returns the automatic session that the event belongs to, and extends it to the
// event. It returns -1 if there is none, so that the event begins one.
func (t *transition) join(e *Event, i int) int {
	if i >= 0 && t.segments[i].Mode == Automatic && t.p.joins(&t.segments[i], &t.when) {
		if Before(&t.segments[i].Last, &t.when) && !e.JoinOnly && !t.isCut(i) {
			t.editAs(i, t.extension(i)).Last = t.when
		}
		return i
	}
	if i >= 0 && t.segments[i].Mode == Ended && Before(&t.when, t.segments[i].end()) {
		return -1 // ended again before the next session
	}
	// A late event may be older than the session's first event so far.
	if i++; i < len(t.segments) && t.segments[i].Mode == Automatic && t.p.precedes(&t.segments[i], &t.when) {
		if !e.JoinOnly {
			t.edit(i).From = t.when
		}
		return i
	}
	return -1
}

// isCut reports whether the message belongs to segment i only because of the order in
// the body: by time, the next segment has already begun.
func (t *transition) isCut(i int) bool {
	return i+1 < len(t.segments) && !Before(&t.when, &t.segments[i+1].From)
}

// extension returns how soon the extension of an automatic session must be written.
// Other processes need to know it only when the timeout has passed, which is usually
// much later. But if the message is late or the gap was long, that is soon.
func (t *transition) extension(i int) Change {
	if t.now-t.when.Time > t.p.Timeout/8 || Sub(&t.when, &t.segments[i].Last) > t.p.Timeout/8 {
		return Prompt
	}
	return Deferred
}

// noteRestart records a cold start in a session that continues, because a late control
// call from before the cold start has effect only until then.
func (t *transition) noteRestart(e *Event, i int) {
	s := &t.segments[i]
	if !e.restarts() || e.JoinOnly || !Before(&s.From, &t.when) || !Before(&s.Restart, &t.when) {
		return
	}
	s = t.editAs(i, Deferred)
	s.Restart, s.RestartWithID = t.when, e.HasSessionID
}

// joins reports whether an event of moment m, not before the automatic session's
// start, belongs to it.
func (p *Policy) joins(s *Segment, m *Moment) bool {
	return !Before(&s.Last, m) || Sub(m, &s.Last) <= p.Timeout && (p.Cutoff == 0 || Sub(m, &s.From) <= p.Cutoff)
}

// precedes reports whether an event of moment m, before the automatic session's
// start, belongs to it. It does not if an identify or a control call began the session:
// that is exactly where the session starts. A session that a late call cut down to the
// time since a cold start may have had its last event before that.
func (p *Policy) precedes(s *Segment, m *Moment) bool {
	return (s.Origin == ByEvent || s.Origin == ByRestart || s.Origin == ByUpdate) &&
		Sub(&s.From, m) <= p.Timeout && Sub(m, &s.Last) <= p.Timeout && (p.Cutoff == 0 || Sub(&s.Last, m) <= p.Cutoff)
}
