package session

// Mobile apps that start anew, after endSession, and manual sessions that time
// out (docs/sessions.md).

// endsState reports whether the event shows that the manual session or the end of
// seg is over, and what it is over by.
func (t *transition) endsState(e *Event, seg *Segment) (by Origin, over bool) {
	restarts := e.restarts() && !t.sameStart
	if restarts && e.HasSessionID {
		return e.restartOrigin(), true
	}
	if seg.Mode == Manual {
		return ByEvent, seg.idle(t.p, &t.when) && !e.JoinOnly
	}
	end := t.endedAt(seg, &t.when)
	switch t.p.Automatic {
	case AutomaticProxy:
		if restarts {
			return e.restartOrigin(), true
		}
		return ByEvent, !e.Mobile && Sub(&t.when, end) > t.p.Timeout
	case AutomaticSDK, AutomaticAdopt:
		return ByOpening, e.opens() && Before(end, &t.when)
	}
	return ByEvent, false
}

// idle reports whether a manual session is over at a moment because ManualTimeout has
// passed since its last event. If it is not known when that was, it is not over.
func (s *Segment) idle(p *Policy, m *Moment) bool {
	return p.ManualTimeout > 0 && !s.Last.IsZero() && Sub(m, &s.Last) > p.ManualTimeout
}

// startManualTimeout starts the timeout of a manual session.
func (t *transition) startManualTimeout(s *Segment) {
	if t.p.ManualTimeout > 0 && s.Mode == Manual {
		s.Last = s.From
	}
}

func (e *Event) restartOrigin() Origin {
	if e.ColdStart == Updated {
		return ByUpdate
	}
	return ByRestart
}

// origin returns the origin of a segment that the event begins when there is no
// session.
func (e *Event) origin() Origin {
	if e.restarts() {
		return e.restartOrigin()
	}
	return ByEvent
}

// sameStart is how long after Application Installed or Updated, in milliseconds, an
// Application Opened belongs to the same start of the app.
const sameStart = 60_000

// sawOpened reports whether Restart is the Application Opened of the start that
// began the segment.
func (s *Segment) sawOpened() bool {
	return s.Origin == ByUpdate && Sub(&s.Restart, &s.From) <= sameStart
}

// isSameStart reports whether an Application Opened belongs to a cold start that is
// known from Application Installed or Updated: SDKs send the two together. Only the
// first Application Opened does, so its time is recorded.
func (t *transition) isSameStart(e *Event) bool {
	if e.ColdStart != Opened || e.HasSessionStart {
		return false
	}
	for i := len(t.segments) - 1; i >= 0; i-- {
		s := &t.segments[i]
		if s.Origin == ByRestart && !Before(&t.when, &s.From) {
			return false
		}
		if s.Origin != ByUpdate || Before(&t.when, &s.From) {
			continue
		}
		switch {
		case Sub(&t.when, &s.From) > sameStart:
			return false
		case s.Restart.IsZero():
			t.editAs(i, Deferred).Restart = t.when
			return true
		}
		return !Before(&s.Restart, &t.when) && !Before(&t.when, &s.Restart)
	}
	return false
}

// keepUpdate is called before a control call is put on the timeline. If the app was
// updated just before the call, the update goes on the timeline first, so that the
// Application Opened that follows does not end what the call began. An update that
// ended nothing is not there yet, except if the proxy makes or adopts sessions: then
// it has begun one.
func (t *transition) keepUpdate() {
	u := t.lags.update(t.now)
	if u.IsZero() || Before(&t.when, &u) || Sub(&t.when, &u) > sameStart ||
		t.p.Automatic == AutomaticProxy || t.p.Automatic == AutomaticAdopt {
		return
	}
	i := t.at(&u)
	if i < 0 && (t.truncated || len(t.segments) == MaxSegments) || i >= 0 && t.segments[i].Mode != None {
		return // no room; or another segment, perhaps the update's own, is there
	}
	if i < 0 || t.segments[i].Origin != ByUpdate || Before(&t.segments[i].From, &u) {
		t.insert(i, Segment{From: u, Origin: ByUpdate})
	}
}
