package enrich

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// The kinds of a key: whose id it holds, and whether the id itself or, where it
// is too long to be kept for a million users, its SHA-256.
const (
	byAnonymousID     = 'a'
	byUserID          = 'u'
	byLongAnonymousID = 'A'
	byLongUserID      = 'U'
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
		kind, id = kind-'a'+'A', sum[:]
	}
	dst = append(dst, kind)
	if len(writeKey) > maxID {
		sum := sha256.Sum256([]byte(writeKey))
		dst = binary.AppendUvarint(dst, maxID+1)
		dst = append(dst, sum[:]...)
	} else {
		dst = binary.AppendUvarint(dst, uint64(len(writeKey)))
		dst = append(dst, writeKey...)
	}
	return append(dst, id...)
}

// Key returns the session key of a write key and an anonymousId or, where that
// is empty, a userId. It returns "" where both are.
func Key(writeKey, anonymousID, userID string) string {
	if id := normalise(anonymousID); id != "" {
		return string(appendKey(nil, byAnonymousID, writeKey, []byte(id)))
	}
	if id := normalise(userID); id != "" {
		return string(appendKey(nil, byUserID, writeKey, []byte(id)))
	}
	return ""
}

// hash is the same in every process. The kind keeps a control call apart from
// an event, or another control call, with the same messageId.
func hash(kind sessionstate.Kind, text []byte) uint64 {
	h := xxhash.Sum64(text)
	if kind.Control() {
		h ^= uint64(kind) * 0x9e3779b97f4a7c15
	}
	return max(h, 1)
}
