package sessionstate

import (
	"math"
	"strings"
)

// grain is how stale Stretch.Last may be, in milliseconds: it is the time of the
// newest event of many.
func (p *Policy) grain() int64 { return p.Timeout / 64 }

// ownStretches makes the lists such that nothing of them is the session's, and
// nothing of what is forgotten, though the session lives on.
func (l *timeline) ownStretches(p *Policy) {
	if p.Retention > 0 {
		forgotten := l.now - p.Retention - p.seenGrain()
		l.links, l.sdk = since(l.links, forgotten), since(l.sdk, forgotten)
	}
	if !l.ownLinks && len(l.links) > 0 {
		l.links = append([]Stretch[string](nil), l.links...)
	}
	if !l.ownSDK && len(l.sdk) > 0 {
		l.sdk = append([]Stretch[int64](nil), l.sdk...)
	}
}

// stretches are SDK's sessions before the request.
type stretches []Stretch[int64]

func (s stretches) last(t int64) int64 {
	if i := stretchAt(s, t); i >= 0 {
		return s[i].Last
	}
	return t
}

// link notes to whom the key belongs at a message's time: of a device which user
// it is of, of a user on which device the event was.
func (l *timeline) link(p *Policy, e *Event) {
	name := e.Link
	if i := stretchAt(l.links, e.Time); i < 0 || l.links[i].Of != name {
		name = strings.Clone(name) // it may be a part of the request
	}
	links, change := observe(l.links, name, e.Time, p.grain())
	if change != Unchanged {
		l.links, l.ownLinks, l.change = links, true, max(l.change, change)
	}
}

// device notes what a message of a device says of its user and of the SDK's own
// session, and tells in its decision whose the device was.
func (l *timeline) device(p *Policy, e *Event, d *Decision) {
	if e.Link != "" {
		l.link(p, e)
	}
	d.Time = e.Time
	i := stretchAt(l.links, e.Time)
	if i < 0 {
		return
	}
	d.Link = l.links[i].Of
	ofSDK := d.Because.Reason == LeftToSDK && e.ID != 0
	if p.Shared && (ofSDK || d.Because.Reason == InAutomaticSession) && (l.timeout != p.Timeout || l.cutoff != p.Cutoff) {
		l.timeout, l.cutoff, l.change = p.Timeout, p.Cutoff, max(l.change, Touched)
	}
	if !ofSDK {
		return
	}
	sdk, change := observe(l.sdk, e.ID, e.Time, p.grain())
	if change == Noted && (l.now-l.written > p.Timeout/8 || e.Time-l.sdkWas.last(e.Time) > p.Timeout/8) {
		// How long it lasts is asked by those too who do not see these events.
		change = Touched
	}
	if change != Unchanged {
		l.sdk, l.ownSDK, l.change = sdk, true, max(l.change, change)
	}
}

// sightings notes where a user was active, for all messages of the request to
// know, but for those sightings that stand behind a follower of the same time:
// it returns these.
func (l *timeline) sightings(p *Policy, events []Event) (behind sightingsBehind) {
	last := len(events) - 1
	for last >= 0 && events[last].Role != Sighting {
		last--
	}
	for i := range last {
		if events[i].Role != Follower {
			continue
		}
		if behind.first == nil {
			behind.first = map[int64]int{}
		}
		if _, ok := behind.first[events[i].Time]; !ok {
			behind.first[events[i].Time] = i
		}
	}
	for i := range last + 1 {
		if e := &events[i]; e.Role == Sighting && !behind.has(i, e) {
			l.link(p, e)
		}
	}
	return behind
}

// sightingsBehind has where the first follower of each time stands in a request;
// nil where all sightings stand before the followers.
type sightingsBehind struct{ first map[int64]int }

func (b *sightingsBehind) has(i int, e *Event) bool {
	first, ok := b.first[e.Time]
	return ok && first < i
}

// follower answers an event of a user and no device, as far as the user's own
// session does.
func (l *timeline) follower(p *Policy, e *Event) Decision {
	d := l.event(p, e)
	switch d.Because.Reason {
	case InManualSession, TooOld:
		return d
	case AfterEnd:
		if i := l.at(e.Time); i >= 0 && l.segments[i].Mode == Ended {
			d.ended = l.segments[i].From
			if e.Time >= l.segments[i].Last {
				d.ended = l.segments[i].Last
			}
		}
	default:
		d = Decision{Action: Clear, Because: Because{Reason: NoDeviceSession}}
	}
	d.Time = e.Time
	if i := stretchAt(l.links, e.Time); i >= 0 {
		d.Link = l.links[i].Of
	}
	return d
}

// Followed is the session that a device was in, as its user's events take it.
type Followed struct {
	// ID is the session's; 0 for none.
	ID int64
	// From is when it began, in Unix milliseconds.
	From int64
	// Manual: startSession began it, or what took the place of such a one.
	Manual bool
}

// Beside says what counts of the messages of a device that happened at the same
// time as a user's event, where some are in the same request: those before it. The
// zero Beside is a request that has none.
type Beside struct {
	// Behind is asked of each segment that began at the time, the newest first, by
	// its Cause: whether that message stands behind the event.
	Behind func(MessageID) bool
	// Owner returns whose the device was where the event stands. then is whose it
	// was at the time after all of the request, before a moment before that time.
	Owner func(then, before string) string
}

// owner returns whose a device was at time t.
func (s *Session) owner(t int64, b *Beside) string {
	i := stretchAt(s.Links, t)
	if i < 0 {
		return ""
	}
	link := &s.Links[i]
	if b.Owner == nil || link.From < t && link.Last < t {
		return link.Of // it was known before, and no message of that time changed it
	}
	before := ""
	if j := stretchAt(s.Links, t-1); j >= 0 {
		before = s.Links[j].Of
	}
	return b.Owner(link.Of, before)
}

// Followed returns the session that a device was in at time t, and whether the
// device was then the user's. s may be nil.
func (s *Session) Followed(now int64, p *Policy, user string, t int64, b Beside) (f Followed, owned bool) {
	if s == nil || p.Expired(s, now) || s.owner(t, &b) != user {
		return f, false
	}
	own := p.of(s)
	line := timeline{segments: s.Segments, behind: b.Behind}
	var seg Segment
	i := line.at(t)
	if i >= 0 {
		seg = s.Segments[i]
	}
	switch {
	case seg.Mode == Manual:
		return Followed{seg.ID, seg.From, true}, true
	case seg.Mode == Ended, i < 0 && s.Truncated:
		return f, true
	}
	// Where sources share a device, the proxy may make its sessions for some, and
	// leave them to the SDK for others: it is in that of the newest event.
	newest := int64(math.MinInt64)
	if seg.Mode == Automatic && own.joins(&seg, t) {
		f, newest = Followed{ID: seg.ID, From: seg.From}, min(seg.Last, t)
	}
	if i = stretchAt(s.SDK, t); i >= 0 {
		if sdk := &s.SDK[i]; t-sdk.Last <= own.Timeout && min(sdk.Last, t) > newest {
			f = Followed{ID: sdk.Of, From: sdk.From}
		}
	}
	return f, true
}

// DevicesBefore returns the devices where a user was active, that of the newest
// event before time t first. s may be nil.
func (s *Session) DevicesBefore(t int64) (devices []string) {
	if s == nil {
		return nil
	}
	for i := stretchAt(s.Links, t); i >= 0; i-- {
		known := false
		for _, d := range devices {
			known = known || d == s.Links[i].Of
		}
		if !known {
			devices = append(devices, s.Links[i].Of)
		}
	}
	return devices
}

// Follow completes the decision about a follower with what the user's device was
// in; the zero Followed where there is none.
func (d *Decision) Follow(e *Event, f Followed) {
	if d.Because.Reason == AfterEnd {
		if f.ID == 0 || f.From <= d.ended {
			return
		}
	} else if d.Because.Reason != NoDeviceSession {
		return
	}
	switch {
	case e.HasSessionID && !f.Manual && e.HasSessionStart:
		d.Action, d.Because.Reason = Unmark, OwnSessionUnmarked
	case e.HasSessionID && !f.Manual:
		d.Action, d.Because.Reason = Keep, OwnSession
	case f.ID != 0:
		d.Action, d.SessionID, d.Because.Reason = Stamp, f.ID, InDeviceSession
	}
}
