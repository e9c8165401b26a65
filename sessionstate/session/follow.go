package session

import (
	"math"
	"strings"
)

// Events that follow their user (docs/server-side.md).

// grain is how stale Interval.Last may be, in milliseconds: it is the time of the
// newest event of many.
func (p *Policy) grain() int64 { return p.Timeout / 64 }

// takeLinks makes the list such that nothing of it is the session's, and nothing
// of what is forgotten, though the session lives on.
func (t *transition) takeLinks() {
	if t.p.Retention > 0 {
		t.links = since(t.links, t.now-t.p.Retention-t.p.seenGrain())
	}
	if !t.ownLinks && len(t.links) > 0 {
		t.links = append([]Interval[string](nil), t.links...)
	}
}

// link notes to whom the key belongs at event time at: of a device which user it
// is of, of a user on which device the event was.
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

// device notes what a message of a device says of its user and of the SDK's own
// session, and tells in its decision whose the device was.
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

// noteSDKSession notes the SDK's own session, which events are left in, for the
// followers of the device's user.
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

// activities notes where a user was active, for all messages of the request to
// know, but for those notes that stand behind a follower of the same time: it
// returns these.
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

// activitiesBehind has where the first follower of each time stands in a request;
// nil where all notes stand before the followers.
type activitiesBehind struct {
	first     map[int64]int
	decisions []Decision
}

func (b *activitiesBehind) has(i int, _ *Event) bool {
	first, ok := b.first[b.decisions[i].At.Time]
	return ok && first < i
}

// follower answers an event of a user and no device, as far as the user's own
// session does.
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

// DeviceSession is the session that a device was in, as its user's events take it.
type DeviceSession struct {
	// ID is the session's; 0 for none.
	ID int64
	// From is when it began: its event time, in Unix milliseconds.
	From int64
	// Manual: startSession began it, or what took the place of such a one.
	Manual bool
}

// BodyOrder says what counts of the messages of a device that happened at the
// same time as a user's event, where some are in the same request: those before
// it. The zero value is a request without device messages.
type BodyOrder struct {
	// Later reports whether the message that began a segment (its Cause) stands
	// later in the request than the event. It is asked once for each segment, the
	// newest first.
	Later func(MessageID) bool
	// Owner returns whose the device was where the event stands. then is whose it
	// was at the time after all of the request, before a moment before that time.
	Owner func(then, before string) string
}

// owner returns whose a device was at time at.
func (s *Session) owner(at int64, b *BodyOrder) string {
	i := intervalAt(s.Links, at)
	if i < 0 {
		return ""
	}
	link := &s.Links[i]
	if b.Owner == nil || link.From < at && link.Last < at {
		return link.Value // it was known before, and no message of that time changed it
	}
	before := ""
	if j := intervalAt(s.Links, at-1); j >= 0 {
		before = s.Links[j].Value
	}
	return b.Owner(link.Value, before)
}

// DeviceSession returns the session that a device was in at event time at, and
// whether the device was then the user's. s may be nil.
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
	// Where sources share a device, the proxy may make its sessions for some, and
	// leave them to the SDK for others: it is in the session of the newest event.
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

// DevicesBefore returns the devices where a user was active, that of the newest
// event before event time at first. s may be nil.
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

// Complete completes the decision about a follower with what the user's device
// was in; the zero DeviceSession where there is none.
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
