package enrich

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/cespare/xxhash/v2"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// The kinds of a key: whose id it holds. Where that is too long to be kept for a
// million users its SHA-256 stands for it, and the kind is a capital. The kind
// behind each is that of sessions that sources share: their key has no write key.
const (
	byAnonymousID = 'a'
	byUserID      = 'u'

	shared = 1         // added to a kind
	long   = 'a' - 'A' // taken from a kind
)

// maxID is the length, in bytes, from which ids and write keys are hashed.
const maxID = 256

// appendKey appends the session key of a write key and an id that is already
// normalised: its kind, the length of the write key, the write key, the id. No
// two different inputs have the same key. The length of a write key that is
// hashed is given as one that no other has.
func appendKey(dst []byte, kind byte, writeKey string, id []byte) []byte {
	if len(id) > maxID {
		sum := sha256.Sum256(id)
		kind, id = kind-long, sum[:]
	}
	return append(appendSource(append(dst, kind), writeKey), id...)
}

func appendSource(dst []byte, writeKey string) []byte {
	if len(writeKey) > maxID {
		sum := sha256.Sum256([]byte(writeKey))
		dst = binary.AppendUvarint(dst, maxID+1)
		return append(dst, sum[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(writeKey)))
	return append(dst, writeKey...)
}

// Key returns the session key of an anonymousId or, where that is empty, a
// userId. It returns "" where both are.
func (r *Request) Key(anonymousID, userID string) string {
	if id := normalise(anonymousID); id != "" {
		return string(r.appendKey(nil, byAnonymousID, []byte(id)))
	}
	if id := normalise(userID); id != "" {
		return string(r.appendKey(nil, byUserID, []byte(id)))
	}
	return ""
}

// appendKey appends the session key of an id that is already normalised.
func (r *Request) appendKey(dst []byte, kind byte, id []byte) []byte {
	if r.Share {
		return appendKey(dst, kind+shared, "", id)
	}
	return appendKey(dst, kind, r.WriteKey, id)
}

// A link names the user of a device, or a device of a user, in the other's
// session: a session key without the write key, which is the same in both.

// appendLink appends the link to an id that is already normalised.
func (r *Request) appendLink(dst []byte, kind byte, id []byte) []byte {
	if r.Share {
		kind += shared
	}
	if len(id) > maxID {
		sum := sha256.Sum256(id)
		kind, id = kind-long, sum[:]
	}
	return append(append(dst, kind), id...)
}

// appendLinked appends the session key of that to which a link leads.
func (r *Request) appendLinked(dst []byte, link string) []byte {
	return append(r.appendSource(append(dst, link[0])), link[1:]...)
}

// appendSource appends the part of a session key that says whose source it is.
func (r *Request) appendSource(dst []byte) []byte {
	if r.Share {
		return appendSource(dst, "")
	}
	return appendSource(dst, r.WriteKey)
}

// Anonymous is an anonymousId of no source, or of all that share their sessions.
func Anonymous(text string, shared bool) ID {
	r := Request{Share: shared}
	id, _ := ParseKey(r.Key(text, "")) // its own keys can be read
	return id
}

// Link returns the link to what the key is of.
func (id ID) Link() string {
	id.WriteKey, id.HashedKey = "", false
	key := id.Key()
	return key[:1] + key[2:]
}

// LinkedTo reports whether a session has a link to an anonymousId or, with user
// set, a userId.
func LinkedTo(s *session.Session, text string, user bool) bool {
	for i := range s.Links {
		if to, err := ParseLink(s.Links[i].Value); err == nil && to.Of(text, user) {
			return true
		}
	}
	return false
}

// To returns the key to which a link in the session of this one leads.
func (id ID) To(link string) (string, error) {
	to, err := ParseLink(link)
	to.WriteKey, to.HashedKey = id.WriteKey, id.HashedKey
	return to.Key(), err
}

// ParseLink takes a link apart; of a shared one it tells so. It has no write key.
func ParseLink(link string) (id ID, err error) {
	if link == "" {
		return id, errKey
	}
	return ParseKey(link[:1] + "\x00" + link[1:])
}

// ID is what a session key says.
type ID struct {
	// Shared: it is of no source, but of all that share their sessions.
	Shared bool
	// WriteKey is the write key, or the SHA-256 of a long one.
	WriteKey string
	// User: the id is a userId and no anonymousId.
	User bool
	// ID is the id, or the SHA-256 of a long one.
	ID string
	// HashedKey and HashedID say that it is a SHA-256.
	HashedKey, HashedID bool
}

// Key returns the session key that says so.
func (id ID) Key() string {
	kind := byte(byAnonymousID)
	if id.User {
		kind = byUserID
	}
	if id.Shared {
		kind += shared
	}
	if id.HashedID {
		kind -= long
	}
	length := len(id.WriteKey)
	if id.HashedKey {
		length = maxID + 1
	}
	key := binary.AppendUvarint([]byte{kind}, uint64(length))
	return string(append(append(key, id.WriteKey...), id.ID...))
}

// Of reports whether it is that of an anonymousId or, with user set, a userId.
func (id ID) Of(text string, user bool) bool {
	text = normalise(text)
	if text == "" || user != id.User {
		return false
	}
	if id.HashedID {
		sum := sha256.Sum256([]byte(text))
		return id.ID == string(sum[:])
	}
	return id.ID == text
}

// OfSource reports whether it is that of a write key, or shared.
func (id ID) OfSource(writeKey string) bool {
	if id.Shared {
		return true
	}
	if id.HashedKey {
		sum := sha256.Sum256([]byte(writeKey))
		return id.WriteKey == string(sum[:])
	}
	return id.WriteKey == writeKey
}

// User returns what stands for a userId in sessions, 0 for none.
func User(userID string) session.UserID {
	if userID = normalise(userID); userID == "" {
		return 0
	}
	return session.UserID(hash(0, []byte(userID)))
}

// errKey is told of a key that appendKey cannot have made.
var errKey = errors.New("not a session key")

// ParseKey takes a session key apart.
func ParseKey(key string) (id ID, err error) {
	if key == "" {
		return id, errKey
	}
	kind := key[0]
	if id.HashedID = kind < 'a'; id.HashedID {
		kind += long
	}
	switch kind {
	case byAnonymousID:
	case byUserID:
		id.User = true
	case byAnonymousID + shared:
		id.Shared = true
	case byUserID + shared:
		id.User, id.Shared = true, true
	default:
		return id, errKey
	}
	length, n := binary.Uvarint([]byte(key[1:min(len(key), 1+binary.MaxVarintLen64)]))
	if n <= 0 {
		return id, errKey
	}
	rest := key[1+n:]
	if length == maxID+1 {
		id.HashedKey, length = true, sha256.Size
	}
	if id.Shared && length > 0 || uint64(len(rest)) < length || id.HashedID && uint64(len(rest)) != length+sha256.Size {
		return id, errKey
	}
	id.WriteKey, id.ID = rest[:length], rest[length:]
	return id, nil
}

// spread, times a small number, is a number of no order.
const spread = 0x9e3779b97f4a7c15

// hash is the same in every process. The kind keeps a control call apart from
// an event, or another control call, with the same messageId.
func hash(kind session.Kind, text []byte) uint64 {
	h := xxhash.Sum64(text)
	if kind.Control() {
		h ^= uint64(kind) * spread
	}
	return max(h, 1)
}
