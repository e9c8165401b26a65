package session

// Mobile apps that start anew, after endSession, and manual sessions that time
// out (docs/sessions.md).

// endsState reports whether the event itself shows that the manual or ended
// state of seg is over, and by what.
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

// idle reports whether a manual session is over at a moment, as no event of it
// was seen for longer than ManualTimeout. One of which it is not known when its
// last event was is not.
func (s *Segment) idle(p *Policy, m *Moment) bool {
	return p.ManualTimeout > 0 && !s.Last.IsZero() && Sub(m, &s.Last) > p.ManualTimeout
}

// startManualTimeout has the timeout of a manual session count from its beginning.
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

// origin is what the event is to a segment that it begins where no session was
// known.
func (e *Event) origin() Origin {
	if e.restarts() {
		return e.restartOrigin()
	}
	return ByEvent
}

// sameStart is for how long after an update, in milliseconds, Application Opened can
// be of the same start.
const sameStart = 60_000

// sawOpened reports whether Restart is the Application Opened of the start that
// began the segment.
func (s *Segment) sawOpened() bool {
	return s.Origin == ByUpdate && Sub(&s.Restart, &s.From) <= sameStart
}

// isSameStart reports whether an Application Opened belongs to a cold start that
// Application Installed or Updated has shown already. SDKs send the two right
// after each other. When the first one was is noted: another is another start.
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

// keepUpdate puts the update of an app on the timeline that ended nothing, and so is
// not on it, before a control call of the same start: the call's session or end is
// not over at the Application Opened that is still to come. Where the proxy makes or
// adopts sessions, the update has begun one.
func (t *transition) keepUpdate() {
	u := t.lags.update(t.now)
	if u.IsZero() || Before(&t.when, &u) || Sub(&t.when, &u) > sameStart ||
		t.p.Automatic == AutomaticProxy || t.p.Automatic == AutomaticAdopt {
		return
	}
	i := t.at(&u)
	if i < 0 && (t.truncated || len(t.segments) == MaxSegments) || i >= 0 && t.segments[i].Mode != None {
		return // no room; or its place is taken, by itself perhaps
	}
	if i < 0 || t.segments[i].Origin != ByUpdate || Before(&t.segments[i].From, &u) {
		t.insert(i, Segment{From: u, Origin: ByUpdate})
	}
}
