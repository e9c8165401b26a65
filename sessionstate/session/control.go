package session

// Start, end, reset (docs/sessions.md).

// control applies a control call, and reports whether it changed anything.
func (t *transition) control(e *Event) (_ Decision, applied bool) {
	if i := t.causedBy(e.Message); i >= 0 {
		return t.repeated(t.segments[i].ID), false
	}
	if t.knowsNoOp(e.Message) {
		return t.repeated(0), false
	}
	i := t.beganBefore(t.at(&t.when))
	active := i >= 0 && t.segments[i].active(t.p, &t.when)
	switch e.Kind {
	case End:
		return t.endSession(e, i, active)
	case Reset:
		if !active {
			t.addNoOp(e.Message)
			return because(NothingToDo), e.Message != 0
		}
	}
	if t.r.Starts != nil && !t.r.Starts.Allow(t.body.index) {
		return because(Limited), false
	}
	s := Segment{From: t.when, Cause: e.Message, Mode: Manual, ID: e.ID}
	if e.Kind == Reset {
		s.ID = 0
		s.renew(&t.segments[i])
	}
	if s.ID == 0 {
		s.ID = t.generate(t.when.Time)
	}
	if e.Kind == Start {
		t.keepUpdate()
		i = t.supersede(t.p, e, &s, t.beganBefore(t.at(&t.when)))
	}
	t.setUser(&s, e)
	t.startManualTimeout(&s)
	d := because(Applied)
	d.SessionID = s.ID
	if t.insert(i, s) < 0 {
		d.Because.Reason = NotKept
		return d, false
	}
	t.began, t.ended = true, active
	return d, true
}

func (t *transition) repeated(id int64) Decision {
	return Decision{SessionID: id, Repeated: true, Because: Because{Reason: AppliedBefore}}
}

// endSession applies endSession where segment i is current.
func (t *transition) endSession(e *Event, i int, active bool) (d Decision, applied bool) {
	active = active || i >= 0 && t.segments[i].Mode != Ended && t.p.Automatic == AutomaticAdopt &&
		t.currentAdopted(&t.when, &t.withoutID, t.p.Timeout) >= 0
	d = because(Applied)
	if !active {
		d.Because.Reason = NothingToDo
	}
	s := Segment{From: t.when, Cause: e.Message, Mode: Ended}
	if i >= 0 && t.segments[i].Mode == Ended {
		return d, t.endAgain(e, &s, i)
	}
	t.keepUpdate()
	i = t.supersede(t.p, e, &s, t.beganBefore(t.at(&t.when)))
	if t.insert(i, s) < 0 {
		d.Because.Reason = NotKept
		return d, false
	}
	t.ended = active
	return d, true
}

// endAgain records an endSession in an ended segment. It changes no event now, but it
// ends the session of a late startSession that was made between the two ends.
func (t *transition) endAgain(e *Event, s *Segment, i int) (applied bool) {
	if !Before(t.segments[i].end(), &t.when) {
		return false
	}
	i = t.supersede(t.p, e, s, i)
	seg := t.edit(i)
	seg.LastEnd, seg.LastEndBy = t.when, e.Message
	return true
}

// active reports whether the segment has a session at a moment that endSession ends
// and resetSession replaces.
func (s *Segment) active(p *Policy, m *Moment) bool {
	switch s.Mode {
	case Manual:
		return !s.idle(p, m)
	case Automatic:
		return p.Automatic == AutomaticProxy && p.joins(s, m)
	}
	return false
}

// renew gives s the mode of the session that it replaces.
func (s *Segment) renew(old *Segment) {
	s.Mode = old.Mode
	if s.Mode != Automatic {
		return
	}
	s.Last = later(s.From, old.Last)
}

func (t *transition) setUser(s *Segment, e *Event) {
	if e.User != 0 {
		s.User, s.UserAt = e.User, t.when
	}
}

func (t *transition) knowsNoOp(m MessageID) bool {
	for _, known := range t.noOps {
		if m != 0 && known == m {
			return true
		}
	}
	return false
}

// addNoOp records a resetSession that found nothing to reset.
func (t *transition) addNoOp(m MessageID) {
	if m == 0 {
		return
	}
	copy(t.noOps[1:], t.noOps[:MaxNoOps-1])
	t.noOps[0] = m
	t.change = max(t.change, Write)
}
