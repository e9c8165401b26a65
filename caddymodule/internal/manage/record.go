package manage

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Record is what is known of one user's session, as the admin API shows it and
// as it is exported: one JSON object, times in Unix milliseconds.
type Record struct {
	// Shared: the session is of all sources that share theirs, and has no write
	// key.
	Shared bool `json:"shared,omitempty"`
	// WriteKey is the source's. Text that is not UTF-8, and the SHA-256 that
	// stands for a write key or an id of more than 256 bytes, is in hexadecimal
	// digits in the members behind.
	WriteKey       string `json:"write_key,omitempty"`
	WriteKeyHex    string `json:"write_key_hex,omitempty"`
	WriteKeySHA256 string `json:"write_key_sha256,omitempty"`
	RecordID

	Version uint64 `json:"version"`
	// Seen is when a message last arrived, within a day.
	Seen int64 `json:"seen"`
	// Truncated: there was more before the first segment.
	Truncated bool            `json:"truncated,omitempty"`
	Segments  []SegmentRecord `json:"segments"`
	// Links are the users of a device, or the devices of a user, oldest first.
	Links []LinkRecord `json:"links,omitempty"`
	// SDKSessions are the SDK's own on a device that has a user, as earlier versions
	// exported them. Now they are segments of mode adopted.
	SDKSessions []SDKSessionRecord `json:"sdk_sessions,omitempty"`
	// WithoutID is when the newest event without a session id of the SDK's own came
	// after one with such an id.
	WithoutID      int64        `json:"without_id,omitempty"`
	WithoutIDClock *ClockRecord `json:"without_id_clock,omitempty"`
	// NoOps are hashes, in hexadecimal digits, of the messageIds of the last
	// resetSession calls that found nothing to reset.
	NoOps []string `json:"no_ops,omitempty"`
	// DeviceLag and ServerLag are the smallest lags of requests that were known when
	// the session was written.
	DeviceLag *LagRecord `json:"device_lag,omitempty"`
	ServerLag *LagRecord `json:"server_lag,omitempty"`
	// Timeout and Cutoff, in milliseconds, are those of the source that the last
	// automatic session of such a device was of, where sources share it.
	Timeout int64 `json:"timeout,omitempty"`
	Cutoff  int64 `json:"cutoff,omitempty"`
}

// RecordID is an anonymousId or a userId, in one of its forms.
type RecordID struct {
	AnonymousID       string `json:"anonymous_id,omitempty"`
	AnonymousIDHex    string `json:"anonymous_id_hex,omitempty"`
	AnonymousIDSHA256 string `json:"anonymous_id_sha256,omitempty"`
	UserID            string `json:"user_id,omitempty"`
	UserIDHex         string `json:"user_id_hex,omitempty"`
	UserIDSHA256      string `json:"user_id_sha256,omitempty"`
}

// LinkRecord is a stretch of time in which a device was one user's, or in which a
// user's newest event was on one device. It lasts until the next one begins.
type LinkRecord struct {
	RecordID
	From int64 `json:"from"`
	// Last is the newest event's time that is known, to within a 64th of the
	// timeout.
	Last int64 `json:"last"`
}

// ClockRecord is what a message's own clock said about a time.
type ClockRecord struct {
	// Clock is device or server.
	Clock string `json:"clock"`
	// Original is what it read, in Unix milliseconds.
	Original int64 `json:"original"`
	// Lag is by how much the message arrived later than its sentAt, in
	// milliseconds.
	Lag int64 `json:"lag"`
}

// LagRecord is the smallest lag of some requests, in milliseconds, and when it was
// known, in Unix milliseconds.
type LagRecord struct {
	Lag int64 `json:"lag"`
	At  int64 `json:"at"`
}

// SDKSessionRecord is a stretch of time with one session of the SDK's own.
type SDKSessionRecord struct {
	ID   int64 `json:"session_id"`
	From int64 `json:"from"`
	Last int64 `json:"last"`
}

// SegmentRecord is a stretch of time with one session, or none. It lasts until
// the next one begins.
type SegmentRecord struct {
	// Mode is manual, automatic (made by the proxy), adopted (the SDK's own), ended
	// or none.
	Mode string `json:"mode"`
	// From is when it began. FromClock, as each of the members that end so, is what
	// the message's clock said about that time, if it told.
	From      int64        `json:"from"`
	FromClock *ClockRecord `json:"from_clock,omitempty"`
	// Last is the newest event's time of a session that times out, or when a
	// session was ended last.
	Last      int64        `json:"last,omitempty"`
	LastClock *ClockRecord `json:"last_clock,omitempty"`
	ID        int64        `json:"session_id,omitempty"`
	// Origin is what began it: control, event, restart, identify, logout, update
	// (a restart after an update of the app) or opening (of a session by a web SDK).
	Origin string `json:"origin"`
	// Mark, Cause and User are hashes, in hexadecimal digits: of the messageIds of
	// the event that carries the start mark (of an ended segment: of the newest
	// endSession, if that did not begin it) and of what began the segment, and of
	// the userId.
	Mark        string       `json:"mark,omitempty"`
	Cause       string       `json:"cause,omitempty"`
	User        string       `json:"user,omitempty"`
	UserAt      int64        `json:"user_at,omitempty"`
	UserAtClock *ClockRecord `json:"user_at_clock,omitempty"`
	// Restart is when the app was last started anew within an automatic session;
	// RestartWithID: with a session of its SDK's own.
	Restart       int64        `json:"restart,omitempty"`
	RestartClock  *ClockRecord `json:"restart_clock,omitempty"`
	RestartWithID bool         `json:"restart_with_id,omitempty"`
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

// record shows a session.
func record(key string, s *session.Session) (r Record, err error) {
	id, err := enrich.ParseKey(key)
	if err != nil {
		return r, err
	}
	r.Shared = id.Shared
	put(id.WriteKey, id.HashedKey, &r.WriteKey, &r.WriteKeyHex, &r.WriteKeySHA256)
	r.RecordID = recordID(id)
	r.Segments = []SegmentRecord{}
	if s == nil {
		return r, nil
	}
	r.Version, r.Seen, r.Truncated = uint64(s.Version), s.Seen, s.Truncated
	r.Timeout, r.Cutoff = s.Timeout, s.Cutoff
	for i := range s.Segments {
		r.Segments = append(r.Segments, segmentRecord(&s.Segments[i]))
	}
	r.WithoutID, r.WithoutIDClock = momentRecord(&s.WithoutID)
	for _, m := range s.NoOps {
		if m != 0 {
			r.NoOps = append(r.NoOps, digits(uint64(m)))
		}
	}
	r.DeviceLag, r.ServerLag = lagRecord(s.Lags[0]), lagRecord(s.Lags[1])
	for _, link := range s.Links {
		to, err := enrich.ParseLink(link.Value)
		if err != nil {
			return r, err
		}
		r.Links = append(r.Links, LinkRecord{recordID(to), link.From, link.Last})
	}
	return r, nil
}

func segmentRecord(s *session.Segment) (r SegmentRecord) {
	r = SegmentRecord{
		Mode: s.Mode.String(), ID: s.ID, Origin: origins[s.Origin],
		Mark: digits(uint64(s.Mark)), Cause: digits(uint64(s.Cause)), User: digits(uint64(s.User)),
		RestartWithID: s.RestartWithID,
	}
	r.From, r.FromClock = momentRecord(&s.From)
	r.Last, r.LastClock = momentRecord(&s.Last)
	r.UserAt, r.UserAtClock = momentRecord(&s.UserAt)
	r.Restart, r.RestartClock = momentRecord(&s.Restart)
	if s.Mode == session.Ended {
		r.Last, r.LastClock = momentRecord(&s.From)
		if !s.LastEnd.IsZero() {
			r.Last, r.LastClock = momentRecord(&s.LastEnd)
		}
		r.Mark = digits(uint64(s.LastEndBy))
	}
	return r
}

func momentRecord(m *session.Moment) (int64, *ClockRecord) {
	if m.Clock == session.NoClock {
		return m.Time, nil
	}
	return m.Time, &ClockRecord{clocks[m.Clock], m.Original, m.Lag}
}

func lagRecord(l session.Lag) *LagRecord {
	if l.At == 0 {
		return nil
	}
	return &LagRecord{l.Lag, l.At}
}

func recordID(id enrich.ID) (r RecordID) {
	if id.User {
		put(id.ID, id.HashedID, &r.UserID, &r.UserIDHex, &r.UserIDSHA256)
	} else {
		put(id.ID, id.HashedID, &r.AnonymousID, &r.AnonymousIDHex, &r.AnonymousIDSHA256)
	}
	return r
}

func put(text string, hashed bool, plain, odd, sum *string) {
	switch {
	case hashed:
		*sum = hex.EncodeToString([]byte(text))
	case utf8.ValidString(text):
		*plain = text
	default:
		*odd = hex.EncodeToString([]byte(text))
	}
}

func digits(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", n)
}

var errRecordID = errors.New("one of anonymous_id and user_id is needed, in one of its forms")

var errSharedKey = errors.New("shared: a session that is shared has no write_key")

// session reads a record; an error says what is wrong with it.
func (r *Record) session() (key string, s *session.Session, err error) {
	var id enrich.ID
	if id.WriteKey, id.HashedKey, err = take("write_key", r.WriteKey, r.WriteKeyHex, r.WriteKeySHA256); err != nil {
		return "", nil, err
	}
	if id.Shared = r.Shared; id.Shared && id.WriteKey != "" {
		return "", nil, errSharedKey
	}
	if err := r.take(&id); err != nil {
		return "", nil, err
	}
	s = &session.Session{
		Version: session.Version(r.Version), Seen: r.Seen, Truncated: r.Truncated, Timeout: r.Timeout, Cutoff: r.Cutoff,
	}
	for i := range r.Segments {
		seg, err := r.Segments[i].segment()
		if err != nil {
			return "", nil, fmt.Errorf("segments[%d]: %w", i, err)
		}
		s.Segments = append(s.Segments, seg)
	}
	for i := range r.Links {
		l := &r.Links[i]
		to := enrich.ID{Shared: id.Shared}
		err := l.take(&to)
		if err == nil && to.User == id.User {
			err = errLinkKind
		}
		if err != nil {
			return "", nil, fmt.Errorf("links[%d]: %w", i, err)
		}
		s.Links = append(s.Links, session.Interval[string]{Value: to.Link(), From: l.From, Last: l.Last})
	}
	if err := r.rest(s); err != nil {
		return "", nil, err
	}
	return id.Key(), s, s.Check()
}

var errLinkKind = errors.New("a device is linked to a user_id, and a user to an anonymous_id")

// take reads what recordID writes.
func (r *RecordID) take(id *enrich.ID) (err error) {
	var userID string
	var hashed bool
	if id.ID, id.HashedID, err = take("anonymous_id", r.AnonymousID, r.AnonymousIDHex, r.AnonymousIDSHA256); err != nil {
		return err
	}
	if userID, hashed, err = take("user_id", r.UserID, r.UserIDHex, r.UserIDSHA256); err != nil {
		return err
	}
	if (id.ID == "") == (userID == "") {
		return errRecordID
	}
	if userID != "" {
		id.User, id.ID, id.HashedID = true, userID, hashed
	}
	return nil
}

// take reads one of the forms that put writes.
func take(name, plain, odd, sum string) (text string, hashed bool, err error) {
	switch {
	case sum != "":
		b, err := hex.DecodeString(sum)
		if err != nil || len(b) != 32 {
			return "", false, fmt.Errorf("%s_sha256: not 64 hexadecimal digits", name)
		}
		return string(b), true, nil
	case odd != "":
		b, err := hex.DecodeString(odd)
		if err != nil {
			return "", false, fmt.Errorf("%s_hex: not hexadecimal digits", name)
		}
		return string(b), false, nil
	}
	return plain, false, nil
}

// rest reads what stands beside segments and links.
func (r *Record) rest(s *session.Session) (err error) {
	for i, own := range r.SDKSessions {
		if own.ID < session.MinID || own.ID > session.MaxID || own.Last < own.From {
			return fmt.Errorf("sdk_sessions[%d]: not a session", i)
		}
		s.AddSDKSession(own.ID, own.From, own.Last)
	}
	if s.WithoutID, err = moment("without_id", r.WithoutID, r.WithoutIDClock); err != nil {
		return err
	}
	if len(r.NoOps) > len(s.NoOps) {
		return fmt.Errorf("no_ops: %d, more than %d", len(r.NoOps), len(s.NoOps))
	}
	for i, text := range r.NoOps {
		n, err := hash("no_ops", text)
		if err != nil {
			return err
		}
		s.NoOps[i] = session.MessageID(n)
	}
	for i, lag := range []*LagRecord{r.DeviceLag, r.ServerLag} {
		if lag != nil {
			s.Lags[i] = session.Lag{Lag: lag.Lag, At: lag.At}
		}
	}
	return nil
}

func moment(name string, at int64, clock *ClockRecord) (session.Moment, error) {
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

func (r *SegmentRecord) segment() (seg session.Segment, err error) {
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
		clock *ClockRecord
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
