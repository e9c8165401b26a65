package session

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
	// Manual: a session that startSession began, or the one that replaced it after a
	// reset or a change of user.
	Manual
	// Ended: endSession was called; events carry no session fields.
	Ended
	// Automatic: a session that the proxy began itself (policy AutomaticProxy).
	Automatic
	// Adopted: a session that an SDK began itself. Its events come with its id.
	Adopted
)

var modeNames = [...]string{"none", "manual", "ended", "automatic", "adopted"}

func (m Mode) String() string {
	if int(m) >= len(modeNames) {
		return "unknown"
	}
	return modeNames[m]
}

// Origin says what began a segment.
type Origin uint8

const (
	// ByControl: a control call.
	ByControl Origin = iota
	// ByEvent: an event for whose moment no session was known.
	ByEvent
	// ByRestart: the cold start of a mobile app.
	ByRestart
	// ByIdentify: an identify with a new userId.
	ByIdentify
	// ByLogout: an event of a web SDK whose userId, set before, is now empty.
	ByLogout
	// ByUpdate: the cold start of a mobile app after an installation or update, known
	// from Application Installed or Updated. Its Application Opened follows.
	ByUpdate
	// ByOpening: an event that shows that a web SDK has begun a session itself.
	ByOpening

	origins
)

// Segment is a part of a key's time in which one mode and one session id hold.
// It lasts until the next segment's From.
type Segment struct {
	// From is the first moment of the segment.
	From Moment
	// ID is the session id; 0 where Mode is None or Ended.
	ID int64
	// Mark is the message that carries the start mark; 0 until one does.
	Mark MessageID
	// Cause is the message that began the segment; 0 if it had no messageId. A repeat
	// of the message is recognised by it.
	Cause MessageID
	// User is the session's user; 0 until a message names one.
	User UserID
	// UserAt is when User was set.
	UserAt Moment
	// Last is the newest event of an automatic or adopted session or, if
	// Policy.ManualTimeout is set, of a manual one; otherwise zero.
	Last Moment
	// LastEnd is the newest endSession in an ended segment, other than the one that
	// began it, and LastEndBy is that call's message; zero if there is none.
	LastEnd   Moment
	LastEndBy MessageID
	// Restart is the newest cold start of the app within the segment; zero for none.
	// It is kept for automatic sessions and, with AutomaticProxy, for manual ones. In
	// a segment of origin ByUpdate it is the Application Opened that followed the
	// update. RestartWithID: the event had a session id of the SDK's own.
	Restart       Moment
	RestartWithID bool
	Mode          Mode
	Origin        Origin
}

func (s *Segment) hasSession() bool {
	return s.Mode == Manual || s.Mode == Automatic || s.Mode == Adopted
}

// end returns the newest end of an ended segment.
func (s *Segment) end() *Moment {
	if !s.LastEnd.IsZero() {
		return &s.LastEnd
	}
	return &s.From
}

// Version is the version of a session. It grows with every change and is never
// used twice for a key, not even after the key was forgotten: a thousand
// versions fit into each millisecond.
type Version uint64

// Millis is about when the session was written, in Unix milliseconds: a session
// that changes more than a thousand times a millisecond is ahead of it.
func (v Version) Millis() int64 { return int64(v / 1000) }

// next returns a version above the last one. For a new key it is also above every
// version of an earlier session of the key that was forgotten.
func (v Version) next(now int64) Version { return max(v+1, Version(max(now, 1))*1000) }

// Session is all that is known of one key: a short timeline of segments, oldest
// first. A Session is never changed once it is shared: [Transition] returns a
// new one.
type Session struct {
	// Version is what stores compare in a compare-and-swap.
	Version Version
	// Seen is when a message of this key last arrived, in Unix milliseconds. It may
	// be too early by a day or a sixteenth of the retention, whichever is less.
	Seen int64
	// Truncated: older segments were dropped, so nothing is known of the time before
	// Segments[0].
	Truncated bool
	// Segments has at most MaxSegments entries, oldest first. Each was inserted at the
	// place that [Before] gave it at that time.
	Segments []Segment
	// Links connect devices and users, for events that follow their user's device. In
	// a device's session they say whose the device was and when; in a user's session,
	// on which device the user was active. Values are those of [Event.Link].
	Links []Interval[string]
	// WithoutID is the newest event that had no session id of the SDK's own although
	// an earlier one had; zero for none.
	WithoutID Moment
	// NoOps are resetSession calls that found nothing to reset, the newest first. They
	// are kept so that they do nothing when they are delivered again either.
	NoOps [MaxNoOps]MessageID
	// Timeout and Cutoff, in milliseconds, are those of the source of the device's
	// newest event in a session that times out, if sources share the device
	// (Policy.Shared) and the device has a user. Timeout is 0 if none is known.
	Timeout, Cutoff int64
	// Lags are the smallest recent lags of the device's clock and of the servers'
	// clock that were known when the session was written.
	Lags [2]Lag
}

const (
	// MaxSegments bounds a key's timeline.
	MaxSegments = 16
	// MaxNoOps bounds Session.NoOps.
	MaxNoOps = 2
)

// MinID and MaxID bound session ids: at least ten digits, and exact in the
// float64 that JavaScript SDKs and the data plane hold them in.
const (
	MinID int64 = 1_000_000_000
	MaxID int64 = 1<<53 - 1
)

// MessageID is a hash of a messageId that is the same in every process; 0 is no
// message.
type MessageID uint64

// UserID is a hash of a userId that is the same in every process; 0 is no user.
type UserID uint64

// HasUser reports whether any segment has the given user.
func (s *Session) HasUser(u UserID) bool {
	for i := range s.Segments {
		if u != 0 && s.Segments[i].User == u {
			return true
		}
	}
	return false
}

// HasLink reports whether the session has a link of the given value.
func (s *Session) HasLink(name string) bool {
	for i := range s.Links {
		if s.Links[i].Value == name {
			return true
		}
	}
	return false
}

// Unlink returns a copy of the next version without the links of a value.
func (s *Session) Unlink(name string) *Session {
	next := s.Clone()
	next.Version++
	next.Links = next.Links[:0]
	for _, link := range s.Links {
		if link.Value != name {
			next.Links = appendInterval(next.Links, link)
		}
	}
	return next
}

// Clone returns a deep copy; nil for nil.
func (s *Session) Clone() *Session {
	if s == nil {
		return nil
	}
	c := *s
	c.Segments, c.Links = slices.Clone(s.Segments), slices.Clone(s.Links)
	return &c
}

// Check returns an error if no transition can have made the session: it is for
// sessions that are imported.
func (s *Session) Check() error {
	if s.Version == 0 {
		return errors.New("version: 0")
	}
	if len(s.Segments) > MaxSegments {
		return fmt.Errorf("segments: %d, more than %d", len(s.Segments), MaxSegments)
	}
	for i := range s.Segments {
		if err := s.Segments[i].check(); err != nil {
			return fmt.Errorf("segments[%d]: %w", i, err)
		}
	}
	for i := range s.Links {
		if n := len(s.Links[i].Value); n == 0 || n > longestLink {
			return fmt.Errorf("links[%d]: of %d bytes, not 1 to %d", i, n, longestLink)
		}
	}
	if s.Timeout < 0 || s.Cutoff < 0 {
		return errors.New("timeout, cutoff: less than 0")
	}
	return checkIntervals("links", s.Links)
}

func (s *Segment) check() error {
	switch {
	case s.Mode > Adopted || s.Origin >= origins:
		return errors.New("of an unknown kind")
	case s.hasSession() && (s.ID < MinID || s.ID > MaxID):
		return fmt.Errorf("session id %d is not between %d and %d", s.ID, MinID, MaxID)
	case !s.hasSession() && s.ID != 0:
		return errors.New("a session id without a session")
	}
	for _, m := range []*Moment{&s.From, &s.UserAt, &s.Last, &s.LastEnd, &s.Restart} {
		if m.Clock > ServerClock {
			return errors.New("of an unknown clock")
		}
	}
	return nil
}
