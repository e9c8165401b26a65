package sessionstate

// Change says how much a transition changed.
type Change uint8

const (
	// Unchanged: nothing is to be written.
	Unchanged Change = iota
	// Noted: a stretch lasts longer than was known, and nothing else. It is worth
	// to be remembered, but not to be written; the version stays.
	Noted
	// Touched: the session lasts longer than was known, and nothing else. It is
	// to be written, but nobody else has to know at once.
	Touched
	// Changed: the session is to be written.
	Changed
	// Controlled: a control call changed the session; it must be durable before
	// the call is answered.
	Controlled
)

// Transition applies the messages of one key, in the order of the request that
// brought them, to its session, and writes a decision for each into decisions,
// which must be as long as events. s is nil for a key that is not known; now is
// when the request arrived, in Unix milliseconds.
//
// It returns the new session, or s itself if nothing changed, in which case
// nothing was allocated. It is a pure function of its arguments, and changes
// none but decisions.
func Transition(s *Session, now int64, p *Policy, events []Event, decisions []Decision) (*Session, Change) {
	line := timeline{}
	if s != nil && !p.Expired(s, now) {
		line.segments, line.truncated = s.Segments, s.Truncated
		line.links, line.sdk, line.sdkWas = s.Links, s.SDK, s.SDK
		line.timeout, line.cutoff = s.Timeout, s.Cutoff
		line.written = int64(s.Version / 1000)
	}
	line.now = now
	controlled := false
	line.request = events
	delayed := line.sightings(p, events)
	shift := line.readClock(events)
	for i := range events {
		e := &events[i]
		line.index = i
		if e.Role == Sighting {
			if delayed.has(i, e) {
				line.link(p, e)
			}
			continue
		}
		if by := shift.Of(e); by != 0 {
			moved := *e
			moved.Time = min(e.Time+by, now)
			e = &moved
		}
		line.began, line.ended, line.origin = false, false, ByControl
		switch {
		case e.Kind.Control():
			var applied bool
			decisions[i], applied = line.control(p, e)
			controlled = controlled || applied
		case e.Role == Follower:
			decisions[i] = line.follower(p, e)
		default:
			decisions[i] = line.event(p, e)
		}
		if e.Role == Device {
			line.device(p, e, &decisions[i])
		}
		why := &decisions[i].Because
		why.Began, why.Ended, why.Origin = line.began, line.ended, line.origin
	}
	if line.change <= Noted && s != nil && now-s.Seen > p.seenGrain() && !line.empty() {
		line.change = Touched // Seen is to be moved
	}
	if line.change == Unchanged {
		return s, Unchanged
	}
	line.own(0, line.change) // nothing of s is kept
	line.ownStretches(p)
	next := &Session{
		Version:   nextVersion(s, now),
		Seen:      now,
		Truncated: line.truncated,
		Segments:  line.segments,
		Links:     line.links,
		SDK:       line.sdk,
		Timeout:   line.timeout,
		Cutoff:    line.cutoff,
	}
	switch {
	case line.change == Noted:
		next.Version, next.Seen = s.Version, s.Seen
	case s != nil:
		next.Seen = max(now, s.Seen)
	}
	if controlled {
		return next, Controlled
	}
	return next, line.change
}

// nextVersion is above the last one, and for a new key above all that an older,
// forgotten session of that key can have had: those grew by less than a
// thousand a millisecond.
func nextVersion(s *Session, now int64) uint64 {
	v := uint64(max(now, 1)) * 1000
	if s != nil {
		v = max(v, s.Version+1)
	}
	return v
}

// control applies a control call and reports whether it changed anything.
func (l *timeline) control(p *Policy, e *Event) (_ Decision, applied bool) {
	if i := l.causedBy(e.Message); i >= 0 {
		return Decision{SessionID: l.segments[i].ID, Repeated: true, Because: Because{Reason: AppliedBefore}}, false
	}
	if e.Limited {
		return because(Limited), false
	}
	i := l.at(e.Time)
	active := i >= 0 && l.segments[i].active(p, e.Time)
	s := Segment{From: e.Time, Cause: e.Message, Mode: Manual, ID: e.ID}
	d := because(Applied)
	switch e.Kind {
	case End:
		if !active {
			d.Because.Reason = NothingToDo
		}
		if i >= 0 && l.segments[i].Mode == Ended {
			return d, l.endAgain(p, e, i)
		}
		s = Segment{From: e.Time, Last: e.Time, Cause: e.Message, Mode: Ended}
		l.supersede(p, e, i)
	case Reset:
		if !active {
			return because(NothingToDo), false
		}
		s.renew(&l.segments[i])
		fallthrough
	default:
		if s.ID == 0 {
			s.ID = l.generate(e.Time)
		}
		if e.Kind == Start {
			l.supersede(p, e, i)
		}
		s.setUser(e)
		d.SessionID = s.ID
	}
	if l.insert(i, s) < 0 {
		d.Because.Reason = NotKept
		return d, false
	}
	l.began, l.ended = s.Mode != Ended, active
	return d, true
}

// endAgain notes an endSession in an ended segment. It changes no event, but a
// startSession that arrives late, from between the two, is ended by it.
func (l *timeline) endAgain(p *Policy, e *Event, i int) (applied bool) {
	if e.Time <= l.segments[i].Last {
		return false
	}
	l.supersede(p, e, i)
	seg := l.edit(i)
	seg.Last, seg.Mark = e.Time, e.Message
	return true
}

// active reports whether the segment has a session at time t.
func (s *Segment) active(p *Policy, t int64) bool {
	return s.Mode == Manual || s.Mode == Automatic && p.Automatic == AutomaticProxy && p.joins(s, t)
}

// renew makes s a session of the same mode as the one that it replaces.
func (s *Segment) renew(old *Segment) {
	s.Mode = old.Mode
	if s.Mode == Automatic {
		s.Last = max(s.From, old.Last)
	}
}

func (s *Segment) setUser(e *Event) {
	if e.User != 0 {
		s.User, s.UserAt = e.User, e.Time
	}
}

func (l *timeline) event(p *Policy, e *Event) Decision {
	if i := l.ownedBy(e.Message); i >= 0 {
		return l.decide(p, e, i)
	}
	i := l.at(e.Time)
	if i < 0 {
		if l.truncated {
			return because(TooOld)
		}
		return l.withoutSession(p, e, i)
	}
	switch seg := &l.segments[i]; seg.Mode {
	case Manual, Ended:
		if !l.over(p, e, seg) {
			break
		}
		active := seg.Mode == Manual
		if p.Automatic != AutomaticProxy {
			if l.insert(i, Segment{From: e.Time, Cause: e.Message, Origin: e.origin()}) < 0 {
				return because(TooOld)
			}
		}
		l.ended, l.origin = active, e.origin()
		return l.withoutSession(p, e, i)
	default:
		return l.withoutSession(p, e, i)
	}
	i = l.identify(p, e, i)
	return l.decide(p, e, i)
}

// over reports whether the event itself shows that the manual or ended state
// of seg is over.
func (l *timeline) over(p *Policy, e *Event, seg *Segment) bool {
	restart := e.ColdStart && !e.Server
	if restart && e.HasSessionID {
		return true
	}
	if seg.Mode != Ended {
		return false
	}
	end := seg.From
	if e.Time >= seg.Last {
		end = seg.Last
	}
	switch p.Automatic {
	case AutomaticProxy:
		return restart || !e.Mobile && e.Time-end > p.Timeout
	case AutomaticSDK:
		return !e.Mobile && !e.Server && e.HasSessionStart && e.Time > end
	default:
		return false
	}
}

// origin is what the event is to a segment that it begins.
func (e *Event) origin() Origin {
	if e.ColdStart && !e.Server {
		return ByRestart
	}
	return ByEvent
}

// identify begins a new session on an identify that brings another user, and
// returns the index of the segment that the event is in.
func (l *timeline) identify(p *Policy, e *Event, i int) int {
	seg := &l.segments[i]
	if e.Kind != Identify || !seg.hasSession() || e.User == 0 || e.User == seg.User ||
		seg.User == 0 || e.Time < seg.UserAt || l.userChangedAfter(e.Time) ||
		e.Visitor && seg.Mode == Automatic {
		return i
	}
	if !p.identifyResets(e) {
		l.edit(i).setUser(e)
		return i
	}
	s := Segment{
		From: e.Time, ID: l.generate(e.Time), Mark: e.Message, Cause: e.Message, Origin: ByIdentify,
	}
	s.renew(seg)
	s.setUser(e)
	l.began, l.ended, l.origin = true, true, ByIdentify
	return l.insert(i, s)
}

// decide answers an event that is in segment i.
func (l *timeline) decide(p *Policy, e *Event, i int) Decision {
	seg := &l.segments[i]
	switch {
	case seg.Mode == Ended:
		return Decision{Action: Clear, Because: Because{Reason: AfterEnd}}
	case seg.Mode == Automatic && p.Automatic != AutomaticProxy, seg.Mode == None:
		return p.unsessioned()
	case seg.Mode == Automatic && e.Visitor:
		return Decision{Action: Stamp, SessionID: seg.ID, Because: Because{Reason: InAutomaticSession}}
	}
	again := !l.began
	if seg.Mark == 0 {
		again = false
		seg = l.edit(i)
		seg.Mark = e.Message
	}
	if seg.User == 0 && e.User != 0 {
		seg = l.edit(i)
		seg.setUser(e)
	}
	start := seg.Mark == e.Message
	reason := InManualSession
	if seg.Mode == Automatic {
		reason = InAutomaticSession
	}
	return Decision{
		Action: Stamp, SessionID: seg.ID, Start: start,
		Because: Because{Reason: reason, MarkedAgain: start && again},
	}
}

// unsessioned answers an event that is in no session.
func (p *Policy) unsessioned() Decision {
	switch p.Automatic {
	case AutomaticOff:
		return Decision{Action: Clear, Because: Because{Reason: AutomaticIsOff}}
	case AutomaticSDK:
		return because(LeftToSDK)
	}
	return because(NoSession)
}
