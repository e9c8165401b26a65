package session

import (
	"math"
	"strings"
)

// Events that follow their user (docs/server-side.md).

// grain is how much too early Interval.Last may be, in milliseconds: an exact one
// would need a write for every event.
func (p *Policy) grain() int64 { return p.Timeout / 64 }

// takeLinks drops the links that are older than the retention, and makes the list a
// copy if it still is the session's.
func (t *transition) takeLinks() {
	if t.p.Retention > 0 {
		t.links = since(t.links, t.now-t.p.Retention-t.p.seenGrain())
	}
	if !t.ownLinks && len(t.links) > 0 {
		t.links = append([]Interval[string](nil), t.links...)
	}
}

// link records the event's link at event time at: for a device its user, for a user
// the device where they were active.
func (t *transition) link(e *Event, at int64) {
	name := e.Link
	if i := intervalAt(t.links, at); i < 0 || t.links[i].Value != name {
		name = strings.Clone(name) // it may be a part of the request
	}
	links, change := observe(t.links, name, at, t.p.grain())
	if change != Unchanged {
		t.links, t.ownLinks, t.change = links, true, max(t.change, change)
	}
}

// device records the user and the SDK's own session that a message of a device shows,
// and sets in the decision whose the device was.
func (t *transition) device(e *Event, d *Decision) {
	if e.Link != "" {
		t.link(e, d.At.Time)
	}
	i := intervalAt(t.links, d.At.Time)
	if i < 0 {
		return
	}
	d.Link = t.links[i].Value
	ofSDK := d.Because.Reason == LeftToSDK && e.ID != 0
	lasts := ofSDK || d.Because.Reason == InAutomaticSession || d.Because.Reason == InAdoptedSession
	if t.p.Shared && lasts && (t.timeout != t.p.Timeout || t.cutoff != t.p.Cutoff) {
		t.timeout, t.cutoff, t.change = t.p.Timeout, t.p.Cutoff, max(t.change, Deferred)
	}
	if ofSDK {
		t.noteSDKSession(e)
	}
}

// noteSDKSession records the SDK's own session of an event that is left to the SDK, so
// that events that follow the device's user can take it.
func (t *transition) noteSDKSession(e *Event) {
	if i := t.indexOf(e.ID); i >= 0 {
		if t.segments[i].Mode == Adopted {
			t.extend(i, t.p.Timeout)
		}
		return
	}
	s := Segment{From: t.when, Last: t.when, Mode: Adopted, ID: e.ID, Origin: e.origin()}
	if s.Origin == ByEvent && e.opens() {
		s.Origin = ByOpening
	}
	t.insert(t.at(&t.when), s)
}

// activities records where a user was active, before the messages of the request are
// applied. The exception are notes after a follower of the same time, which it returns:
// they are applied in their turn.
func (t *transition) activities(decisions []Decision) (behind activitiesBehind) {
	events := t.r.Events
	last := len(events) - 1
	for last >= 0 && events[last].Role != UserActivity {
		last--
	}
	for i := range last {
		if events[i].Role != Follower {
			continue
		}
		if behind.first == nil {
			behind.first = map[int64]int{}
		}
		if at := decisions[i].At.Time; !hasKey(behind.first, at) {
			behind.first[at] = i
		}
	}
	behind.decisions = decisions
	for i := range last + 1 {
		if e := &events[i]; e.Role == UserActivity && !behind.has(i, e) {
			t.link(e, decisions[i].At.Time)
		}
	}
	return behind
}

func hasKey(m map[int64]int, k int64) bool { _, ok := m[k]; return ok }

// activitiesBehind has the position in the request of the first follower of each time;
// nil if all notes are before the followers.
type activitiesBehind struct {
	first     map[int64]int
	decisions []Decision
}

func (b *activitiesBehind) has(i int, _ *Event) bool {
	first, ok := b.first[b.decisions[i].At.Time]
	return ok && first < i
}

// follower decides about an event with a userId only, as far as the user's own session
// decides.
func (t *transition) follower(e *Event) Decision {
	d := t.event(e)
	switch d.Because.Reason {
	case InManualSession, TooOld, TooOldCleared:
		return d
	case AfterEnd:
		if i := t.at(&t.when); i >= 0 && t.segments[i].Mode == Ended {
			d.Follow.Ended = t.endedAt(&t.segments[i], &t.when).Time
		}
	default:
		d = because(NoDeviceSession)
	}
	if i := intervalAt(t.links, t.when.Time); i >= 0 {
		d.Follow.Device = t.links[i].Value
	}
	return d
}

// DeviceSession is the session of a device, for the events that follow its user.
type DeviceSession struct {
	// ID is the session's; 0 for none.
	ID int64
	// From is the event time of its start, in Unix milliseconds.
	From int64
	// Manual: it is a manual session.
	Manual bool
}

// BodyOrder is for a request with both a user's event and messages of the user's
// device at the same time: the messages before the event in the body count. The zero
// value is a request without device messages.
type BodyOrder struct {
	// Later reports whether the message that began a segment (its Cause) is after the
	// event in the body. It is called once for each segment, the newest first.
	Later func(MessageID) bool
	// Owner returns the user of the device at the event's position in the body. after
	// is the device's user at that time once the whole request is applied, before the
	// user a millisecond earlier.
	Owner func(after, before string) string
}

// owner returns the user of a device at time at.
func (s *Session) owner(at int64, b *BodyOrder) string {
	i := intervalAt(s.Links, at)
	if i < 0 {
		return ""
	}
	link := &s.Links[i]
	if b.Owner == nil || link.From < at && link.Last < at {
		return link.Value // no message of that time changed it
	}
	before := ""
	if j := intervalAt(s.Links, at-1); j >= 0 {
		before = s.Links[j].Value
	}
	return b.Owner(link.Value, before)
}

// DeviceSession returns the session of a device at event time at, and whether the
// device was the user's then. s may be nil.
func (s *Session) DeviceSession(now int64, p *Policy, user string, at int64, b BodyOrder) (f DeviceSession, owned bool) {
	if s == nil || p.Expired(s, now) || s.owner(at, &b) != user {
		return f, false
	}
	own := p.of(s)
	// Another key's clock is another clock: the event time alone is compared.
	m := At(at)
	line := timeline{segments: s.Segments}
	line.body.later = b.Later
	var seg Segment
	i := line.at(&m)
	if i >= 0 {
		seg = s.Segments[i]
	}
	switch {
	case seg.Mode == Manual && seg.idle(&own, &m):
		return f, true
	case seg.Mode == Manual:
		return DeviceSession{seg.ID, seg.From.Time, true}, true
	case seg.Mode == Ended, i < 0 && s.Truncated:
		return f, true
	}
	// If sources share the device, some may have sessions of the proxy and others of
	// the SDK: the session with the newest event counts.
	newest := int64(math.MinInt64)
	if seg.Mode == Automatic && own.joins(&seg, &m) {
		f, newest = DeviceSession{ID: seg.ID, From: seg.From.Time}, min(seg.Last.Time, at)
	}
	if i := line.currentAdopted(&m, &s.WithoutID, own.Timeout); i >= 0 {
		if sdk := &s.Segments[i]; min(sdk.Last.Time, at) > newest {
			f = DeviceSession{ID: sdk.ID, From: sdk.From.Time}
		}
	}
	return f, true
}

// DevicesBefore returns the devices where a user was active by event time at, the most
// recent one first. s may be nil.
func (s *Session) DevicesBefore(at int64) (devices []string) {
	if s == nil {
		return nil
	}
	for i := intervalAt(s.Links, at); i >= 0; i-- {
		known := false
		for _, d := range devices {
			known = known || d == s.Links[i].Value
		}
		if !known {
			devices = append(devices, s.Links[i].Value)
		}
	}
	return devices
}

// Complete completes the decision about a follower with the session of the user's
// device; the zero DeviceSession is none.
func (d *Decision) Complete(e *Event, f DeviceSession) {
	if d.Because.Reason == AfterEnd {
		if f.ID == 0 || f.From <= d.Follow.Ended {
			return
		}
	} else if d.Because.Reason != NoDeviceSession {
		return
	}
	switch {
	case e.HasSessionID && !f.Manual && e.HasStartKey:
		d.Action, d.Because.Reason = Unmark, OwnSessionUnmarked
	case e.HasSessionID && !f.Manual:
		d.Action, d.Because.Reason = Keep, OwnSession
	case f.ID != 0:
		d.Action, d.SessionID, d.Because.Reason = Stamp, f.ID, InDeviceSession
	}
}
