package session

// What events carry, and the start mark (docs/sessions.md).

// event decides about an event.
func (t *transition) event(e *Event) Decision {
	t.sameStart = t.isSameStart(e)
	i := t.ownedBy(e.Message)
	if i >= 0 && t.segments[i].Mode != None {
		return t.decide(e, i)
	}
	if i < 0 {
		i = t.at(&t.when)
	}
	if i < 0 {
		if t.truncated {
			return t.tooOld()
		}
		return t.withoutSession(e, i)
	}
	seg := &t.segments[i]
	if seg.Mode != Manual && seg.Mode != Ended {
		return t.withoutSession(e, i)
	}
	origin, over := t.endsState(e, seg)
	if !over {
		if seg.Mode == Manual && t.p.Automatic == AutomaticProxy {
			t.noteRestart(e, i)
		}
		return t.decide(e, t.changeUser(e, i))
	}
	t.ended, t.origin = seg.Mode == Manual, origin
	if t.p.Automatic == AutomaticProxy || t.adoptsNew(e) {
		return t.withoutSession(e, i) // where a session begins
	}
	if i = t.insert(i, Segment{From: t.when, Cause: e.Message, Origin: origin}); i < 0 {
		t.ended = false
		return t.tooOld()
	}
	return t.withoutSession(e, i)
}

// decide decides about an event of segment i, or of none if i is negative.
func (t *transition) decide(e *Event, i int) Decision {
	if i < 0 {
		return t.tooOld()
	}
	seg := &t.segments[i]
	d := Decision{Action: Stamp, SessionID: seg.ID, Compared: t.compared(seg)}
	switch seg.Mode {
	case Ended:
		return t.inSegment(because(AfterEnd), seg)
	case None:
		return t.inSegment(t.p.unsessioned(), seg)
	case Manual:
		d.Because.Reason = InManualSession
		if t.p.ManualTimeout > 0 && !e.JoinOnly {
			t.extend(i, t.p.ManualTimeout)
		}
	case Automatic:
		if t.p.Automatic != AutomaticProxy {
			return t.inSegment(t.p.unsessioned(), seg)
		}
		d.Because.Reason = InAutomaticSession
		if e.JoinOnly {
			return d
		}
	case Adopted:
		if t.p.Automatic != AutomaticAdopt {
			return t.inSegment(t.p.unsessioned(), seg)
		}
		d.Because.Reason = InAdoptedSession
		if !t.staysCurrent(i) {
			t.extend(i, t.p.Timeout)
		}
	}
	d.Start, d.Because.MarkedAgain = t.mark(e, i)
	if seg = &t.segments[i]; seg.User == 0 && e.User != 0 && seg.Mode != Adopted {
		t.setUser(t.edit(i), e)
	}
	return d
}

func (t *transition) inSegment(d Decision, s *Segment) Decision {
	d.Compared = t.compared(s)
	return d
}

// mark gives the start mark of segment i to the event if no other event has it. It
// reports whether the event carries the mark, and whether it already did when it came
// before.
func (t *transition) mark(e *Event, i int) (start, again bool) {
	if t.segments[i].Mark == 0 {
		t.edit(i).Mark = e.Message
		t.markRest(i)
		return true, false
	}
	start = t.segments[i].Mark == e.Message
	return start, start && !t.began
}

// markRest copies the mark of segment i to the other segment of its session, if a late
// endSession has split an automatic session in two.
func (t *transition) markRest(i int) {
	for j := range t.segments {
		if s := &t.segments[j]; s.Mode == Automatic && t.segments[i].Mode == Automatic && s.ID == t.segments[i].ID {
			s.Mark = t.segments[i].Mark
		}
	}
}

// extend restarts the timeout of segment i at the event.
func (t *transition) extend(i int, timeout int64) {
	seg := &t.segments[i]
	if !Before(&seg.Last, &t.when) && !seg.Last.IsZero() {
		return
	}
	change := CacheOnly
	// Other processes that do not see these events need to know how long it lasts.
	switch {
	case seg.Last.IsZero() || t.now-t.written > timeout/8:
		change = Deferred
	case Sub(&t.when, &seg.Last) > timeout/8:
		change = Prompt
	}
	t.editAs(i, change).Last = t.when
}

func (t *transition) compared(s *Segment) Comparison {
	if SameClock(&t.when, &s.From) {
		return ByClock
	}
	return ByEventTime
}

// tooOld decides about an event that is older than everything that is kept.
func (t *transition) tooOld() Decision {
	if t.p.Automatic == AutomaticOff {
		return because(TooOldCleared)
	}
	return because(TooOld)
}

// unsessioned decides about an event that is in no session.
func (p *Policy) unsessioned() Decision {
	switch p.Automatic {
	case AutomaticOff:
		return because(AutomaticIsOff)
	case AutomaticSDK:
		return because(LeftToSDK)
	}
	return because(NoSession)
}
