package enrich

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/cespare/xxhash/v2"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// The kinds of a key: which id it holds. If the id is long, the key holds its SHA-256
// instead, and the kind is a capital letter. The letter after each kind is for
// sessions that sources share: their key has no write key.
const (
	byAnonymousID = 'a'
	byUserID      = 'u'

	shared = 1         // is added to the kind
	long   = 'a' - 'A' // is subtracted from the kind
)

// maxID is the length, in bytes, beyond which ids and write keys are hashed.
const maxID = 256

// appendKey appends the session key of a write key and a normalised id: the kind,
// the length of the write key, the write key, the id. Different inputs have
// different keys. For a hashed write key, the length is maxID+1, which no other
// write key has.
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

// Key returns the session key of an anonymousId or, if that is empty, of a userId. It
// returns "" if both are empty.
func (r *Request) Key(anonymousID, userID string) string {
	if id := normalise(anonymousID); id != "" {
		return string(r.appendKey(nil, byAnonymousID, []byte(id)))
	}
	if id := normalise(userID); id != "" {
		return string(r.appendKey(nil, byUserID, []byte(id)))
	}
	return ""
}

// MessageKey appends the session key of a message to dst: that which [Enrich] takes
// for a message with these values, as JSON; nil for what it does not have. It appends
// nothing if the message has no id.
func (r *Request) MessageKey(dst, anonymousID, userID, channel []byte) []byte {
	kind, id := ownerOf(idOf(anonymousID), idOf(userID), string(textOf(channel)) == "server")
	if len(id) == 0 {
		return dst
	}
	return r.appendKey(dst, kind, id)
}

// ownerOf returns to whom a message with these ids belongs: to its device, if it is
// not from a server that names the user.
func ownerOf(anonymousID, userID []byte, server bool) (kind byte, id []byte) {
	if len(anonymousID) == 0 || server && len(userID) > 0 {
		return byUserID, userID
	}
	return byAnonymousID, anonymousID
}

// appendKey appends the session key of a normalised id.
func (r *Request) appendKey(dst []byte, kind byte, id []byte) []byte {
	if r.Share {
		return appendKey(dst, kind+shared, "", id)
	}
	return appendKey(dst, kind, r.WriteKey, id)
}

// A link is how the session of a device names its user, and how the session of a user
// names a device. It is a session key without the write key, which is the same in
// both.

// appendLink appends the link to a normalised id.
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

// appendLinked appends the session key of the device or user that a link names.
func (r *Request) appendLinked(dst []byte, link string) []byte {
	return append(r.appendSource(append(dst, link[0])), link[1:]...)
}

// appendSource appends the part of a session key that identifies the source.
func (r *Request) appendSource(dst []byte) []byte {
	if r.Share {
		return appendSource(dst, "")
	}
	return appendSource(dst, r.WriteKey)
}

// Anonymous returns an anonymousId without a source or, with shared set, of all
// sources that share their sessions.
func Anonymous(text string, shared bool) ID {
	r := Request{Share: shared}
	id, _ := ParseKey(r.Key(text, "")) // cannot fail for a key made here
	return id
}

// Link returns the link to the device or user with this key.
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

// To returns the key of the device or user that a link in this one's session names.
func (id ID) To(link string) (string, error) {
	to, err := ParseLink(link)
	to.WriteKey, to.HashedKey = id.WriteKey, id.HashedKey
	return to.Key(), err
}

// ParseLink parses a link. The result has no write key.
func ParseLink(link string) (id ID, err error) {
	if link == "" {
		return id, errKey
	}
	return ParseKey(link[:1] + "\x00" + link[1:])
}

// ID is a parsed session key.
type ID struct {
	// Shared: it belongs to no single source, but to all that share their sessions.
	Shared bool
	// WriteKey is the write key, or the SHA-256 of a long one.
	WriteKey string
	// User: the id is a userId, not an anonymousId.
	User bool
	// ID is the id, or the SHA-256 of a long one.
	ID string
	// HashedKey and HashedID: WriteKey, or ID, is a SHA-256.
	HashedKey, HashedID bool
}

// Key returns the session key.
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

// Of reports whether the id is this anonymousId or, with user set, this userId.
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

// OfSource reports whether the key belongs to this write key, or is shared.
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

// User returns the hash by which sessions know a userId, 0 for an empty one.
func User(userID string) session.UserID {
	if userID = normalise(userID); userID == "" {
		return 0
	}
	return session.UserID(hash(0, []byte(userID)))
}

// errKey says that appendKey cannot have made a key.
var errKey = errors.New("not a session key")

// ParseKey parses a session key.
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

// spread is 2^64/phi: its multiples are well distributed (Fibonacci hashing).
const spread = 0x9e3779b97f4a7c15

// hash returns the same value in every process, and never 0. The kind distinguishes a
// control call from an event, or from another kind of call, with the same messageId.
func hash(kind session.Kind, text []byte) uint64 {
	h := xxhash.Sum64(text)
	if kind.Control() {
		h ^= uint64(kind) * spread
	}
	return max(h, 1)
}
