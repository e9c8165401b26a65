package session

import "math"

// Change says how much a transition changed, and so how durable it must be.
type Change uint8

const (
	// Unchanged: nothing is to be written.
	Unchanged Change = iota
	// CacheOnly: the session lasts a little longer. It is cached but not written, and
	// keeps its version.
	CacheOnly
	// Deferred: the session lasts longer. It is to be written, but other processes need
	// not know soon.
	Deferred
	// Prompt: the session lasts much longer, or the event that shows it came late.
	// Processes that share the store should know at once; if they cannot, the event
	// still counts.
	Prompt
	// Write: the session must be written.
	Write
	// WriteThrough: a control call changed the session; it must be durable before
	// the call is answered.
	WriteThrough
)

// Request is the messages of one key in an HTTP request, in the order of its body,
// and what decides about them.
type Request struct {
	// Received is when the request arrived, in Unix milliseconds.
	Received int64
	Policy   *Policy
	// Lags are those of the requests before this one; nil for none.
	Lags   *Lags
	Events []Event
	// Past: Received may be in the past, to see what would have become of a request
	// then. A stored time after Received does not mean that a clock is wrong.
	Past bool
	// Starts limits how many sessions the messages may begin; nil is no limit.
	Starts Limiter
}

// Limiter limits how many sessions of a key may begin by control calls, and how many
// may be adopted.
type Limiter interface {
	// Allow reports whether message i may begin a session. Its answer for a message is
	// always the same.
	Allow(i int) bool
}

// Transition applies the messages of one key to its session, and writes a
// decision for each into decisions, which must be as long as r.Events. s is nil
// for a key that is not known.
//
// It returns the new session, or s itself if nothing changed, in which case
// nothing was allocated. It is a pure function of its arguments, and changes
// none but decisions.
func Transition(s *Session, r *Request, decisions []Decision) (*Session, Change) {
	t := transition{p: r.Policy, r: r, now: r.Received}
	if r.Lags != nil {
		t.lags = *r.Lags
	}
	if s != nil && !r.Policy.Expired(s, t.now) {
		t.load(s)
	}
	t.findMoments(decisions)
	t.body.find(t.segments, r.Events)
	delayed := t.activities(decisions)
	applied := false
	for i := range r.Events {
		e := &r.Events[i]
		t.body.index = i
		if e.Role == UserActivity {
			if delayed.has(i, e) {
				t.link(e, decisions[i].At.Time)
			}
			continue
		}
		applied = t.message(e, &decisions[i]) || applied
	}
	if t.change <= CacheOnly && s != nil && t.now-s.Seen > r.Policy.seenGrain() && !t.empty() {
		t.change = Deferred // to write Seen
	}
	switch {
	case t.change == Unchanged:
		return s, Unchanged
	case applied:
		t.change = WriteThrough
	}
	return t.next(s), t.change
}

// transition is the state of a session while the messages of a request are applied.
type transition struct {
	timeline
	p   *Policy
	r   *Request
	now int64
	// lags are those up to the message that is being applied. learnt: a message of the
	// request told its clock. stored are the lags that the session has.
	lags   Lags
	learnt bool
	stored [2]Lag
	// written is when the session was last written.
	written int64

	// links are the session's, or a copy if ownLinks is set.
	links           []Interval[string]
	ownLinks        bool
	withoutID       Moment
	noOps           [MaxNoOps]MessageID
	timeout, cutoff int64

	// These are of the message that is being applied.
	when         Moment
	began, ended bool
	adopted      bool
	origin       Origin
	// sameStart: see isSameStart.
	sameStart bool
}

func (t *transition) load(s *Session) {
	t.segments, t.truncated = s.Segments, s.Truncated
	t.links, t.withoutID, t.noOps = s.Links, s.WithoutID, s.NoOps
	t.timeout, t.cutoff, t.stored = s.Timeout, s.Cutoff, s.Lags
	t.written = s.Version.Millis()
	if !t.r.Past {
		t.limitFuture(t.now)
	}
}

// empty reports whether nothing is known of the key.
func (t *transition) empty() bool { return len(t.segments) == 0 && len(t.links) == 0 }

// message applies one message, and reports whether it is a control call that changed
// something.
func (t *transition) message(e *Event, d *Decision) (applied bool) {
	t.when, t.began, t.ended, t.adopted, t.origin = d.At, false, false, false, ByControl
	at, way := d.At, d.Way
	switch {
	case e.Kind.Control():
		*d, applied = t.control(e)
	case e.Role == Follower:
		*d = t.follower(e)
	default:
		*d = t.event(e)
		t.lags.observeStart(e, &t.when)
	}
	d.At, d.Way = at, way
	if t.when != at {
		d.At = t.when // a control call without a time was moved to its place
	}
	if e.Role == Device {
		t.device(e, d)
	}
	why := &d.Because
	why.Began, why.Ended, why.Adopted, why.Origin = t.began, t.ended, t.adopted, t.origin
	return applied
}

// next returns the new session.
func (t *transition) next(s *Session) *Session {
	t.own(0, t.change) // so that the new session shares nothing with s
	t.takeLinks()
	next := &Session{
		Seen:      t.now,
		Truncated: t.truncated,
		Segments:  t.segments,
		Links:     t.links,
		WithoutID: t.withoutID,
		NoOps:     t.noOps,
		Timeout:   t.timeout,
		Cutoff:    t.cutoff,
		Lags:      t.smallestLags(),
	}
	switch {
	case s == nil:
		next.Version = Version(0).next(t.now)
	case t.change == CacheOnly:
		next.Version, next.Seen = s.Version, s.Seen
	default:
		next.Version, next.Seen = s.Version.next(t.now), max(t.now, s.Seen)
	}
	return next
}

// findMoments sets in each decision when its message happened.
func (t *transition) findMoments(decisions []Decision) {
	for i := range t.r.Events {
		e, d := &t.r.Events[i], &decisions[i]
		d.At, d.Way = t.moment(e)
	}
	t.timeControls(decisions)
}

// moment returns when a message happened, and the way that its event time was computed
// with.
func (t *transition) moment(e *Event) (m Moment, way int64) {
	clock := e.Clock()
	switch {
	case clock != NoClock:
		lag := t.now - e.Times.Sent
		way = t.lags.way(clock, lag, t.now, t.stored[clock.index()])
		t.lags.Observe(clock, lag, t.now)
		t.learnt = true
		m = Moment{Original: e.Times.Original, Lag: lag, Clock: clock}
		m.Time = min(t.now, e.Times.Original+way)
	case e.Times.HasOriginal:
		m.Time = min(t.now, e.Times.Original)
	default:
		m.Time = t.now
	}
	return m, way
}

// timeControls sets the moments of control calls without timestamps in a batch: they
// happen when the batch arrives, but not after the events that follow them in the body.
func (t *transition) timeControls(decisions []Decision) {
	events := t.r.Events
	if len(events) < 2 {
		return
	}
	next := At(math.MaxInt64)
	for i := len(events) - 1; i >= 0; i-- {
		e := &events[i]
		if e.Role == UserActivity {
			continue // it is no message of the key
		}
		if m := &decisions[i].At; e.Kind.Control() && !e.Times.HasOriginal && Before(&next, m) {
			*m = next
		}
		if Before(&decisions[i].At, &next) {
			next = decisions[i].At
		}
	}
}

// smallestLags returns the lags to store: the smallest that are known.
func (t *transition) smallestLags() [2]Lag {
	stored := t.stored
	if !t.learnt {
		return stored
	}
	for i := range stored {
		clock := DeviceClock + Clock(i)
		least, ok := t.lags.Of(clock).smallest(t.now)
		if !ok {
			continue
		}
		known := stored[i]
		if known.Lag >= least.Lag || !t.lags.includes(clock, known, t.now) || !clock.near(known.Lag, least.Lag) {
			stored[i] = least
		}
	}
	return stored
}
