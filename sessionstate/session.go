package sessionstate

import (
	"errors"
	"fmt"
	"slices"
)

// Mode is what a segment of a timeline says about the events in it.
type Mode uint8

const (
	// None: there is no session that the proxy knows of; the automatic policy
	// decides.
	None Mode = iota
	// Manual: a session begun by startSession or resetSession. It has no
	// idle timeout.
	Manual
	// Ended: endSession was called; events carry no session fields.
	Ended
	// Automatic: a session that the proxy made itself (policy AutomaticProxy).
	Automatic
)

func (m Mode) String() string {
	switch m {
	case Manual:
		return "manual"
	case Ended:
		return "ended"
	case Automatic:
		return "automatic"
	default:
		return "none"
	}
}

// Segment is a stretch of a key's time in which one mode and one session id
// hold. It lasts until the next segment's From.
type Segment struct {
	// From is the first moment of the segment, in Unix milliseconds.
	From int64
	// Last is the newest event time in an automatic segment, from which its
	// idle timeout is counted, and the time of the newest endSession in an ended
	// one. Other segments have none.
	Last int64
	// ID is the session id; 0 where Mode is None or Ended.
	ID int64
	// Mark is the message that carries the start mark; 0 while it is free. In an
	// ended segment it is the newest endSession, if that did not begin it.
	Mark MessageID
	// Cause is the message that began the segment; 0 if it had no messageId.
	// It makes a repeat of that message recognisable.
	Cause MessageID
	// User is the session's user; 0 until one is seen.
	User UserID
	// UserAt is the event time at which User was set.
	UserAt int64
	Mode   Mode
	Origin Origin
}

// Origin is what began a segment.
type Origin uint8

const (
	// ByControl: a control call.
	ByControl Origin = iota
	// ByEvent: the first event of an automatic session, or one that showed the
	// SDK's own tracking to go on after an end.
	ByEvent
	// ByRestart: the cold start of a mobile app.
	ByRestart
	// ByIdentify: an identify with a new userId.
	ByIdentify
)

func (s Segment) hasSession() bool { return s.Mode == Manual || s.Mode == Automatic }

// Session is all that is known of one key: a short timeline of segments, oldest
// first. A Session is never changed once it is shared: [Transition] returns a
// new one.
type Session struct {
	// Version grows with every change and is never used twice for a key, not
	// even after the key was forgotten. It is what a [Store] compares.
	Version uint64
	// Seen is when a message of this key last arrived, in Unix milliseconds,
	// to within a sixteenth of the retention or a day, whichever is less.
	Seen int64
	// Truncated says that older segments were dropped: nothing is known of the
	// time before Segments[0].
	Truncated bool
	// Segments has at most MaxSegments entries, sorted by From; of segments
	// with equal From the later one holds.
	Segments []Segment
	// Links say who belongs to whom, where events follow their user's device: in
	// the session of a device which user it was of; in that of a user, on which
	// device the newest event was. They are what [Event.Link] has.
	Links []Stretch[string]
	// SDK are the SDK's own sessions on a device that has a user.
	SDK []Stretch[int64]
	// Timeout and Cutoff, in milliseconds, are those of the source that an automatic
	// session of a device with a user was of last, where sources share the device
	// (Policy.Shared). A Timeout of 0: none is known.
	Timeout, Cutoff int64
}

// MaxSegments bounds a key's timeline.
const MaxSegments = 8

// MinID and MaxID bound session ids: at least ten digits, and exact in the
// float64 that JavaScript SDKs and the data plane hold them in.
const (
	MinID int64 = 1_000_000_000
	MaxID int64 = 1<<53 - 1
)

// MessageID stands for a messageId: a hash of it that is the same in every
// process. 0 is no message.
type MessageID uint64

// UserID stands for a userId: a hash of it that is the same in every process.
// 0 is no user.
type UserID uint64

// HasUser reports whether a user was the user of one of its segments.
func (s *Session) HasUser(u UserID) bool {
	for i := range s.Segments {
		if u != 0 && s.Segments[i].User == u {
			return true
		}
	}
	return false
}

// HasLink reports whether it was linked with a name.
func (s *Session) HasLink(name string) bool {
	for i := range s.Links {
		if s.Links[i].Of == name {
			return true
		}
	}
	return false
}

// clone returns a copy that has nothing of s but its strings, which nobody
// changes.
func (s *Session) clone() *Session {
	if s == nil {
		return nil
	}
	c := *s
	c.Segments, c.Links, c.SDK = slices.Clone(s.Segments), slices.Clone(s.Links), slices.Clone(s.SDK)
	return &c
}

// Check reports what no session can be: it is for sessions that come from
// elsewhere.
func (s *Session) Check() error {
	if s.Version == 0 {
		return errors.New("version: 0")
	}
	if len(s.Segments) > MaxSegments {
		return fmt.Errorf("segments: %d, more than %d", len(s.Segments), MaxSegments)
	}
	for i := range s.Segments {
		switch seg := &s.Segments[i]; {
		case i > 0 && seg.From < s.Segments[i-1].From:
			return fmt.Errorf("segments[%d]: begins before the one before it", i)
		case seg.Mode > Automatic || seg.Origin > ByIdentify:
			return fmt.Errorf("segments[%d]: of an unknown kind", i)
		case seg.hasSession() && (seg.ID < MinID || seg.ID > MaxID):
			return fmt.Errorf("segments[%d]: session id %d is not between %d and %d", i, seg.ID, MinID, MaxID)
		case !seg.hasSession() && seg.ID != 0:
			return fmt.Errorf("segments[%d]: a session id without a session", i)
		}
	}
	for i := range s.Links {
		if n := len(s.Links[i].Of); n == 0 || n > longestLink {
			return fmt.Errorf("links[%d]: of %d bytes, not 1 to %d", i, n, longestLink)
		}
	}
	if s.Timeout < 0 || s.Cutoff < 0 {
		return errors.New("timeout, cutoff: less than 0")
	}
	if err := checkStretches("links", s.Links); err != nil {
		return err
	}
	return checkStretches("sdk_sessions", s.SDK)
}

func checkStretches[T comparable](name string, list []Stretch[T]) error {
	if len(list) > MaxStretches {
		return fmt.Errorf("%s: %d, more than %d", name, len(list), MaxStretches)
	}
	if len(bounded(list)) < len(list) {
		return fmt.Errorf("%s: of more than %d different ones", name, MaxLinks)
	}
	for i := range list {
		switch {
		case list[i].Last < list[i].From:
			return fmt.Errorf("%s[%d]: ends before it begins", name, i)
		case i > 0 && list[i].From <= list[i-1].From:
			return fmt.Errorf("%s[%d]: begins before the one before it", name, i)
		}
	}
	return nil
}
