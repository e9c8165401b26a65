package record

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Clock is what a message's own clock said about a time.
type Clock struct {
	// Clock is device or server.
	Clock string `json:"clock"`
	// Original is what it read, in Unix milliseconds.
	Original int64 `json:"original"`
	// Lag is by how much the message arrived later than its sentAt, in
	// milliseconds.
	Lag int64 `json:"lag"`
}

// Lag is the smallest lag of some requests, in milliseconds, and when it was
// known, in Unix milliseconds.
type Lag struct {
	Lag int64 `json:"lag"`
	At  int64 `json:"at"`
}

// SDKSession is a stretch of time with one session of the SDK's own.
type SDKSession struct {
	ID   int64 `json:"session_id"`
	From int64 `json:"from"`
	Last int64 `json:"last"`
}

// Segment is a stretch of time with one session, or none. It lasts until
// the next one begins.
type Segment struct {
	// Mode is manual, automatic (made by the proxy), adopted (the SDK's own), ended
	// or none.
	Mode string `json:"mode"`
	// From is when it began. FromClock, as each of the members that end so, is what
	// the message's clock said about that time, if it told.
	From      int64  `json:"from"`
	FromClock *Clock `json:"from_clock,omitempty"`
	// Last is the newest event's time of a session that times out, or when a
	// session was ended last.
	Last      int64  `json:"last,omitempty"`
	LastClock *Clock `json:"last_clock,omitempty"`
	ID        int64  `json:"session_id,omitempty"`
	// Origin is what began it: control, event, restart, identify, logout, update
	// (a restart after an update of the app) or opening (of a session by a web SDK).
	Origin string `json:"origin"`
	// Mark, Cause and User are hashes, in hexadecimal digits: of the messageIds of
	// the event that carries the start mark (of an ended segment: of the newest
	// endSession, if that did not begin it) and of what began the segment, and of
	// the userId.
	Mark        string `json:"mark,omitempty"`
	Cause       string `json:"cause,omitempty"`
	User        string `json:"user,omitempty"`
	UserAt      int64  `json:"user_at,omitempty"`
	UserAtClock *Clock `json:"user_at_clock,omitempty"`
	// Restart is when the app was last started anew within an automatic session;
	// RestartWithID: with a session of its SDK's own.
	Restart       int64  `json:"restart,omitempty"`
	RestartClock  *Clock `json:"restart_clock,omitempty"`
	RestartWithID bool   `json:"restart_with_id,omitempty"`
}

var (
	modes   = []session.Mode{session.None, session.Manual, session.Ended, session.Automatic, session.Adopted}
	origins = []string{
		session.ByControl: "control", session.ByEvent: "event",
		session.ByRestart: "restart", session.ByIdentify: "identify",
		session.ByLogout: "logout", session.ByUpdate: "update", session.ByOpening: "opening",
	}
	clocks = []string{session.DeviceClock: "device", session.ServerClock: "server"}
)

func segmentOf(s *session.Segment) (r Segment) {
	r = Segment{
		Mode: s.Mode.String(), ID: s.ID, Origin: origins[s.Origin],
		Mark: digits(uint64(s.Mark)), Cause: digits(uint64(s.Cause)), User: digits(uint64(s.User)),
		RestartWithID: s.RestartWithID,
	}
	r.From, r.FromClock = momentOf(&s.From)
	r.Last, r.LastClock = momentOf(&s.Last)
	r.UserAt, r.UserAtClock = momentOf(&s.UserAt)
	r.Restart, r.RestartClock = momentOf(&s.Restart)
	if s.Mode == session.Ended {
		r.Last, r.LastClock = momentOf(&s.From)
		if !s.LastEnd.IsZero() {
			r.Last, r.LastClock = momentOf(&s.LastEnd)
		}
		r.Mark = digits(uint64(s.LastEndBy))
	}
	return r
}

func momentOf(m *session.Moment) (int64, *Clock) {
	if m.Clock == session.NoClock {
		return m.Time, nil
	}
	return m.Time, &Clock{clocks[m.Clock], m.Original, m.Lag}
}

func lagOf(l session.Lag) *Lag {
	if l.At == 0 {
		return nil
	}
	return &Lag{l.Lag, l.At}
}

func moment(name string, at int64, clock *Clock) (session.Moment, error) {
	if clock == nil {
		return session.At(at), nil
	}
	for i, known := range clocks {
		if known != "" && known == clock.Clock {
			return session.Moment{Time: at, Original: clock.Original, Lag: clock.Lag, Clock: session.Clock(i)}, nil
		}
	}
	return session.Moment{}, fmt.Errorf("%s_clock: %q is none of device, server", name, clock.Clock)
}

func hash(name, text string) (n uint64, err error) {
	if text == "" {
		return 0, nil
	}
	if n, err = strconv.ParseUint(text, 16, 64); err != nil {
		return 0, fmt.Errorf("%s: %q is not up to 16 hexadecimal digits", name, text)
	}
	return n, nil
}

func (r *Segment) segment() (seg session.Segment, err error) {
	seg = session.Segment{ID: r.ID, RestartWithID: r.RestartWithID}
	mode := slices.IndexFunc(modes, func(m session.Mode) bool { return m.String() == r.Mode })
	if mode < 0 {
		return seg, fmt.Errorf("mode: %q is none of none, manual, ended, automatic, adopted", r.Mode)
	}
	origin := slices.Index(origins, r.Origin)
	if origin < 0 {
		return seg, fmt.Errorf("origin: %q is none of %s", r.Origin, strings.Join(origins, ", "))
	}
	seg.Mode, seg.Origin = modes[mode], session.Origin(origin)
	for _, f := range []struct {
		name  string
		at    int64
		clock *Clock
		to    *session.Moment
	}{
		{"from", r.From, r.FromClock, &seg.From}, {"last", r.Last, r.LastClock, &seg.Last},
		{"user_at", r.UserAt, r.UserAtClock, &seg.UserAt}, {"restart", r.Restart, r.RestartClock, &seg.Restart},
	} {
		if *f.to, err = moment(f.name, f.at, f.clock); err != nil {
			return seg, err
		}
	}
	var mark, cause, user uint64
	for _, f := range []struct {
		name, text string
		to         *uint64
	}{{"mark", r.Mark, &mark}, {"cause", r.Cause, &cause}, {"user", r.User, &user}} {
		if *f.to, err = hash(f.name, f.text); err != nil {
			return seg, err
		}
	}
	seg.Mark, seg.Cause, seg.User = session.MessageID(mark), session.MessageID(cause), session.UserID(user)
	if seg.Mode == session.Ended {
		if seg.Last != seg.From {
			seg.LastEnd, seg.LastEndBy = seg.Last, seg.Mark
		}
		seg.Last, seg.Mark = session.Moment{}, 0
	}
	return seg, nil
}
