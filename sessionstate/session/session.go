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
	// Manual: a session begun by startSession, or one that took its place.
	Manual
	// Ended: endSession was called; events carry no session fields.
	Ended
	// Automatic: a session that the proxy made itself (policy AutomaticProxy).
	Automatic
	// Adopted: a session that an SDK began itself, and whose id its events bring.
	Adopted
)

var modeNames = [...]string{"none", "manual", "ended", "automatic", "adopted"}

func (m Mode) String() string {
	if int(m) >= len(modeNames) {
		return "unknown"
	}
	return modeNames[m]
}

// Origin is what began a segment.
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
	// ByLogout: a web SDK's event without the userId that there was before.
	ByLogout
	// ByUpdate: the cold start of a mobile app after it was installed or updated,
	// of which Application Opened is still to come.
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
	// Mark is the message that carries the start mark; 0 while it is free.
	Mark MessageID
	// Cause is the message that began the segment; 0 if it had no messageId.
	// It makes a repeat of that message recognisable.
	Cause MessageID
	// User is the session's user; 0 until one is seen.
	User UserID
	// UserAt is when User was set.
	UserAt Moment
	// Last is the newest event of an automatic or adopted session and, where
	// Policy.ManualTimeout is set, of a manual one; zero where it is not kept.
	Last Moment
	// LastEnd is the newest endSession in an ended segment, if that did not begin
	// it, and LastEndBy its message; zero otherwise.
	LastEnd   Moment
	LastEndBy MessageID
	// Restart is the newest cold start of the app in an automatic session, or in a
	// manual one where the proxy makes automatic ones, which did not begin it; in a
	// segment that an update of the app began, its Application Opened. Zero for none. RestartWithID: it came with a session id of
	// the SDK's own.
	Restart       Moment
	RestartWithID bool
	Mode          Mode
	Origin        Origin
}

func (s *Segment) hasSession() bool {
	return s.Mode == Manual || s.Mode == Automatic || s.Mode == Adopted
}

// end is when an ended segment was ended last.
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

// next is above the last version and, for a new key, above all that an older,
// forgotten session of that key can have had.
func (v Version) next(now int64) Version { return max(v+1, Version(max(now, 1))*1000) }

// Session is all that is known of one key: a short timeline of segments, oldest
// first. A Session is never changed once it is shared: [Transition] returns a
// new one.
type Session struct {
	// Version is what a store compares.
	Version Version
	// Seen is when a message of this key last arrived, in Unix milliseconds,
	// to within a sixteenth of the retention or a day, whichever is less.
	Seen int64
	// Truncated says that older segments were dropped: nothing is known of the
	// time before Segments[0].
	Truncated bool
	// Segments has at most MaxSegments entries, in the order of [Before] at the
	// time when they were inserted.
	Segments []Segment
	// Links say who belongs to whom, where events follow their user's device: in
	// the session of a device which user it was of; in that of a user, on which
	// device the newest event was. They are what [Event.Link] has.
	Links []Interval[string]
	// WithoutID is the newest event that came without a session id of the SDK's
	// own after one with such an id; zero for none.
	WithoutID Moment
	// NoOps are resetSession calls that found nothing to reset, the newest first.
	// They are known so that they do nothing when they are delivered again.
	NoOps [MaxNoOps]MessageID
	// Timeout and Cutoff, in milliseconds, are those of the source that an automatic
	// session of a device with a user was of last, where sources share the device
	// (Policy.Shared). A Timeout of 0: none is known.
	Timeout, Cutoff int64
	// Lags has the smallest lag of the device's and of the servers' clock, as far
	// as it was known when the session was written.
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
		if s.Links[i].Value == name {
			return true
		}
	}
	return false
}

// Unlink returns a session without a link, of the next version.
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

// Clone returns a copy that shares nothing with s but its strings, which nobody
// changes; nil for nil.
func (s *Session) Clone() *Session {
	if s == nil {
		return nil
	}
	c := *s
	c.Segments, c.Links = slices.Clone(s.Segments), slices.Clone(s.Links)
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
