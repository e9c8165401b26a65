// Package record is a session as JSON: what the admin API shows, and what is exported and
// imported. docs/admin-api.md describes it.
package record

import (
	"encoding/hex"
	"errors"
	"fmt"
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
	ID

	Version uint64 `json:"version"`
	// Seen is when a message last arrived, within a day.
	Seen int64 `json:"seen"`
	// Truncated: there was more before the first segment.
	Truncated bool      `json:"truncated,omitempty"`
	Segments  []Segment `json:"segments"`
	// Links are the users of a device, or the devices of a user, oldest first.
	Links []Link `json:"links,omitempty"`
	// SDKSessions are the SDK's own on a device that has a user, as earlier versions
	// exported them. Now they are segments of mode adopted.
	SDKSessions []SDKSession `json:"sdk_sessions,omitempty"`
	// WithoutID is when the newest event without a session id of the SDK's own came
	// after one with such an id.
	WithoutID      int64  `json:"without_id,omitempty"`
	WithoutIDClock *Clock `json:"without_id_clock,omitempty"`
	// NoOps are hashes, in hexadecimal digits, of the messageIds of the last
	// resetSession calls that found nothing to reset.
	NoOps []string `json:"no_ops,omitempty"`
	// DeviceLag and ServerLag are the smallest lags of requests that were known when
	// the session was written.
	DeviceLag *Lag `json:"device_lag,omitempty"`
	ServerLag *Lag `json:"server_lag,omitempty"`
	// Timeout and Cutoff, in milliseconds, are those of the source that the last
	// automatic session of such a device was of, where sources share it.
	Timeout int64 `json:"timeout,omitempty"`
	Cutoff  int64 `json:"cutoff,omitempty"`
}

// ID is an anonymousId or a userId, in one of its forms.
type ID struct {
	AnonymousID       string `json:"anonymous_id,omitempty"`
	AnonymousIDHex    string `json:"anonymous_id_hex,omitempty"`
	AnonymousIDSHA256 string `json:"anonymous_id_sha256,omitempty"`
	UserID            string `json:"user_id,omitempty"`
	UserIDHex         string `json:"user_id_hex,omitempty"`
	UserIDSHA256      string `json:"user_id_sha256,omitempty"`
}

// Link is a stretch of time in which a device was one user's, or in which a
// user's newest event was on one device. It lasts until the next one begins.
type Link struct {
	ID
	From int64 `json:"from"`
	// Last is the newest event's time that is known, to within a 64th of the
	// timeout.
	Last int64 `json:"last"`
}

// Of returns the record of a session, nil for none. An error says that the key is not one
// of [enrich.ID.Key].
func Of(key string, s *session.Session) (r Record, err error) {
	id, err := enrich.ParseKey(key)
	if err != nil {
		return r, err
	}
	r.Shared = id.Shared
	put(id.WriteKey, id.HashedKey, &r.WriteKey, &r.WriteKeyHex, &r.WriteKeySHA256)
	r.ID = idOf(id)
	r.Segments = []Segment{}
	if s == nil {
		return r, nil
	}
	r.Version, r.Seen, r.Truncated = uint64(s.Version), s.Seen, s.Truncated
	r.Timeout, r.Cutoff = s.Timeout, s.Cutoff
	for i := range s.Segments {
		r.Segments = append(r.Segments, segmentOf(&s.Segments[i]))
	}
	r.WithoutID, r.WithoutIDClock = momentOf(&s.WithoutID)
	for _, m := range s.NoOps {
		if m != 0 {
			r.NoOps = append(r.NoOps, digits(uint64(m)))
		}
	}
	r.DeviceLag, r.ServerLag = lagOf(s.Lags[0]), lagOf(s.Lags[1])
	for _, link := range s.Links {
		to, err := enrich.ParseLink(link.Value)
		if err != nil {
			return r, err
		}
		r.Links = append(r.Links, Link{idOf(to), link.From, link.Last})
	}
	return r, nil
}

func idOf(id enrich.ID) (r ID) {
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

var errID = errors.New("one of anonymous_id and user_id is needed, in one of its forms")

var errSharedKey = errors.New("shared: a session that is shared has no write_key")

// Session returns the key and the session of a record. An error says what is wrong with it.
func (r *Record) Session() (key string, s *session.Session, err error) {
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

// take reads what idOf writes.
func (r *ID) take(id *enrich.ID) (err error) {
	var userID string
	var hashed bool
	if id.ID, id.HashedID, err = take("anonymous_id", r.AnonymousID, r.AnonymousIDHex, r.AnonymousIDSHA256); err != nil {
		return err
	}
	if userID, hashed, err = take("user_id", r.UserID, r.UserIDHex, r.UserIDSHA256); err != nil {
		return err
	}
	if (id.ID == "") == (userID == "") {
		return errID
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

// rest reads the fields other than segments and links.
func (r *Record) rest(s *session.Session) (err error) {
	for i, own := range r.SDKSessions {
		switch {
		case own.Last < own.From:
			return fmt.Errorf("sdk_sessions[%d]: ends before it begins", i)
		case own.ID < session.MinID || own.ID > session.MaxID:
			return fmt.Errorf("sdk_sessions[%d]: session id %d is not between %d and %d", i, own.ID, session.MinID, session.MaxID)
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
	for i, lag := range []*Lag{r.DeviceLag, r.ServerLag} {
		if lag != nil {
			s.Lags[i] = session.Lag{Lag: lag.Lag, At: lag.At}
		}
	}
	return nil
}
