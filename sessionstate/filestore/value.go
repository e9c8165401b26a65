package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// sumSize is the size of the checksum of key and session, which comes before the
// session.
const sumSize = 4

func sum(key, form []byte) uint32 {
	var d xxhash.Digest
	d.Reset()
	d.Write(key)
	d.Write([]byte{0})
	d.Write(form)
	return uint32(d.Sum64())
}

func encode(key string, s *session.Session) []byte {
	b := session.Append(make([]byte, sumSize, 96), s)
	binary.LittleEndian.PutUint32(b, sum([]byte(key), b[sumSize:]))
	return b
}

// verified returns the stored form of a session if its checksum is right.
func verified(key, v []byte) ([]byte, error) {
	if len(v) < sumSize || binary.LittleEndian.Uint32(v) != sum(key, v[sumSize:]) {
		return nil, fmt.Errorf("%w: a session is not as it was written", ErrDamaged)
	}
	return v[sumSize:], nil
}

func decode(key, v []byte) (*session.Session, error) {
	b, err := verified(key, v)
	if err != nil {
		return nil, err
	}
	decoded, err := session.Decode(b)
	return decoded, newerFormat(err)
}

// newerFormat makes the error about a session of a newer format an ErrNewer, as for a
// file of a newer schema.
func newerFormat(err error) error {
	if errors.Is(err, session.ErrNewer) {
		return fmt.Errorf("%w: %w", ErrNewer, err)
	}
	return err
}
