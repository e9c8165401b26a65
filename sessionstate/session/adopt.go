package session

// Sessions that the SDKs begin themselves (docs/sessions.md).

// adopt decides about an event under AutomaticAdopt that is in neither a manual
// session nor an ended segment. i is the segment that is current at its moment, or -1.
func (t *transition) adopt(e *Event, i int) Decision {
	switch {
	case e.Server:
		return e.ofServer()
	case e.Role == Follower:
		return because(NoSession)
	case e.HasSessionID && e.ID == 0:
		return because(InvalidOwnID)
	case !e.HasSessionID:
		return t.withoutOwnID(e)
	}
	if j := t.indexOf(e.ID); j >= 0 && (t.segments[j].Mode == Adopted || t.segments[j].Mode == Manual) {
		return t.decide(e, j)
	}
	return t.adoptNew(e, i)
}

// adoptsNew reports whether the event shows a session of the SDK's own that is not on
// the timeline yet.
func (t *transition) adoptsNew(e *Event) bool {
	return t.p.Automatic == AutomaticAdopt && !e.Server && !e.JoinOnly && e.ID != 0 && t.indexOf(e.ID) < 0
}

// adoptNew puts a session of the SDK's own on the timeline. The event is the first of
// the session to arrive, whether or not the SDK began the session with it, so it
// carries the start mark.
func (t *transition) adoptNew(e *Event, i int) Decision {
	if i < 0 && (t.truncated || len(t.segments) == MaxSegments) {
		t.ended = false
		return t.tooOld()
	}
	if t.r.Starts != nil && !t.r.Starts.Allow(t.body.index) {
		t.ended = false
		return because(Limited)
	}
	s := Segment{
		From: t.when, Last: t.when, Mode: Adopted, ID: e.ID,
		Mark: e.Message, Cause: e.Message, Origin: e.origin(),
	}
	if s.Origin == ByEvent && e.opens() {
		s.Origin = ByOpening
	}
	if t.insert(i, s) < 0 {
		t.ended = false
		return t.tooOld()
	}
	t.began, t.adopted, t.origin = true, true, s.Origin
	return Decision{Action: Stamp, SessionID: s.ID, Start: true, Because: Because{Reason: InAdoptedSession}}
}

// withoutOwnID decides about an event without a session id of the SDK's own: the SDK
// has no session. So no adopted session is current until an event has an id again.
func (t *transition) withoutOwnID(e *Event) Decision {
	if i := t.newestAdopted(nil); i >= 0 && !e.JoinOnly && Before(&t.segments[i].Last, &t.when) &&
		(t.withoutID.IsZero() || !Before(&t.segments[i].Last, &t.withoutID)) {
		t.withoutID = t.when
		t.change = max(t.change, Write)
	}
	if e.HasIDKey || e.HasStartKey {
		return because(NoSessionCleared)
	}
	return because(NoSession)
}

// ofServer decides about an event of a server under AutomaticAdopt. If it has a session
// id, the application has passed that to the server.
func (e *Event) ofServer() Decision {
	switch {
	case e.HasStartKey:
		return because(OwnSessionUnmarked)
	case e.HasSessionID:
		return because(OwnSession)
	}
	return because(NoSession)
}

// staysCurrent reports whether adopted session i has the newest event anyway, and the
// message is hardly newer. Nothing is recorded then, so the session may stop being
// current too early, by at most a 64th of the timeout.
func (t *transition) staysCurrent(i int) bool {
	last := &t.segments[i].Last
	return Sub(&t.when, last) <= t.p.grain() && t.newestAdopted(nil) == i && !Before(last, &t.withoutID)
}

// newestAdopted returns the adopted session with the newest event, or -1. Unless until
// is nil, only sessions that began by then count.
func (l *timeline) newestAdopted(until *Moment) int {
	newest := -1
	for i := range l.segments {
		s := &l.segments[i]
		if s.Mode != Adopted || until != nil && Before(until, &s.From) {
			continue
		}
		if newest < 0 || !Before(&s.Last, &l.segments[newest].Last) {
			newest = i
		}
	}
	return newest
}

// currentAdopted returns the adopted session that is current at a moment, or -1.
// withoutID is Session.WithoutID.
func (l *timeline) currentAdopted(m, withoutID *Moment, timeout int64) int {
	i := l.newestAdopted(m)
	if i < 0 {
		return -1
	}
	last := l.segments[i].Last
	if Sub(m, &last) > timeout || !withoutID.IsZero() && Before(&last, withoutID) && !Before(m, withoutID) {
		return -1
	}
	return i
}
