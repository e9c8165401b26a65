package caddymodule

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
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
	// SDKSessions are the SDK's own on a device that has a user, oldest first.
	SDKSessions []SDKSessionRecord `json:"sdk_sessions,omitempty"`
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

// SDKSessionRecord is a stretch of time with one session of the SDK's own.
type SDKSessionRecord struct {
	ID   int64 `json:"session_id"`
	From int64 `json:"from"`
	Last int64 `json:"last"`
}

// SegmentRecord is a stretch of time with one session, or none. It lasts until
// the next one begins.
type SegmentRecord struct {
	// Mode is manual, automatic (made by the proxy), ended or none.
	Mode string `json:"mode"`
	From int64  `json:"from"`
	// Last is the newest event's time of an automatic session, or when a session
	// was ended last.
	Last int64 `json:"last,omitempty"`
	ID   int64 `json:"session_id,omitempty"`
	// Origin is what began it: control, event, restart or identify.
	Origin string `json:"origin"`
	// Mark, Cause and User are hashes, in hexadecimal digits: of the messageIds of
	// the event that carries the start mark and of what began the segment, and of
	// the userId.
	Mark   string `json:"mark,omitempty"`
	Cause  string `json:"cause,omitempty"`
	User   string `json:"user,omitempty"`
	UserAt int64  `json:"user_at,omitempty"`
}

var (
	modes   = []sessionstate.Mode{sessionstate.None, sessionstate.Manual, sessionstate.Ended, sessionstate.Automatic}
	origins = []string{
		sessionstate.ByControl: "control", sessionstate.ByEvent: "event",
		sessionstate.ByRestart: "restart", sessionstate.ByIdentify: "identify",
	}
)

// record shows a session.
func record(key string, s *sessionstate.Session) (r Record, err error) {
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
	r.Version, r.Seen, r.Truncated = s.Version, s.Seen, s.Truncated
	r.Timeout, r.Cutoff = s.Timeout, s.Cutoff
	for i := range s.Segments {
		seg := &s.Segments[i]
		r.Segments = append(r.Segments, SegmentRecord{
			Mode: seg.Mode.String(), From: seg.From, Last: seg.Last, ID: seg.ID,
			Origin: origins[seg.Origin],
			Mark:   digits(uint64(seg.Mark)), Cause: digits(uint64(seg.Cause)),
			User: digits(uint64(seg.User)), UserAt: seg.UserAt,
		})
	}
	for _, stretch := range s.Links {
		to, err := enrich.ParseLink(stretch.Of)
		if err != nil {
			return r, err
		}
		r.Links = append(r.Links, LinkRecord{recordID(to), stretch.From, stretch.Last})
	}
	for _, own := range s.SDK {
		r.SDKSessions = append(r.SDKSessions, SDKSessionRecord{own.Of, own.From, own.Last})
	}
	return r, nil
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
func (r *Record) session() (key string, s *sessionstate.Session, err error) {
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
	s = &sessionstate.Session{
		Version: r.Version, Seen: r.Seen, Truncated: r.Truncated, Timeout: r.Timeout, Cutoff: r.Cutoff,
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
		s.Links = append(s.Links, sessionstate.Stretch[string]{Of: to.Link(), From: l.From, Last: l.Last})
	}
	for _, own := range r.SDKSessions {
		s.SDK = append(s.SDK, sessionstate.Stretch[int64]{Of: own.ID, From: own.From, Last: own.Last})
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

func (r *SegmentRecord) segment() (seg sessionstate.Segment, err error) {
	seg = sessionstate.Segment{From: r.From, Last: r.Last, ID: r.ID, UserAt: r.UserAt}
	known := false
	for _, mode := range modes {
		if mode.String() == r.Mode {
			seg.Mode, known = mode, true
		}
	}
	if !known {
		return seg, fmt.Errorf("mode: %q is none of none, manual, ended, automatic", r.Mode)
	}
	known = false
	for origin, name := range origins {
		if name == r.Origin {
			seg.Origin, known = sessionstate.Origin(origin), true
		}
	}
	if !known {
		return seg, fmt.Errorf("origin: %q is none of control, event, restart, identify", r.Origin)
	}
	var numbers [3]uint64
	for i, text := range []string{r.Mark, r.Cause, r.User} {
		if text == "" {
			continue
		}
		if numbers[i], err = strconv.ParseUint(text, 16, 64); err != nil {
			return seg, fmt.Errorf("%s: %q is not up to 16 hexadecimal digits", []string{"mark", "cause", "user"}[i], text)
		}
	}
	seg.Mark, seg.Cause = sessionstate.MessageID(numbers[0]), sessionstate.MessageID(numbers[1])
	seg.User = sessionstate.UserID(numbers[2])
	return seg, nil
}
