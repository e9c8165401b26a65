package sessionstate

import (
	"context"
	"errors"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Store keeps sessions by key. It knows nothing of their meaning. Its main duty is
// that of two concurrent changes of a key one wins, and the other gets to know that it
// lost.
//
// Methods are called concurrently. An error means that a session could not be read or
// written. Clients do not see errors, so they may contain hosts and file names, but
// they must never contain a key.
type Store interface {
	// Get returns the session of a key, or nil if there is none.
	Get(ctx context.Context, key string) (*session.Session, error)

	// CompareAndSwap carries out changes of different keys, each independently: it
	// writes Next if the key's session still has version Old, and sets Done and Err
	// to the result. A change that is done survives a crash of the process.
	CompareAndSwap(ctx context.Context, changes []Swap)

	// Delete forgets a key. Deleting an unknown key is not an error.
	Delete(ctx context.Context, key string) error

	// Scan calls fn for every session, in any order, until fn returns an error, and
	// returns that error. fn may see the old or the new state of a session that changes
	// meanwhile, and may see a session twice.
	Scan(ctx context.Context, fn func(key string, s *session.Session) error) error

	// Close releases the store's resources. No method is called after it.
	Close() error
}

// Swap is a change of one session.
type Swap struct {
	Key string
	// Old is the version that the session must have; 0: there must be none.
	Old session.Version
	// Next is the new session; its version is above Old.
	Next *session.Session

	// Done: Next was written. If it is false and Err is nil, another change came
	// first.
	Done bool
	Err  error
}

// ErrFull is returned by [Table.Apply] for a new key if the [Bounded] store is full.
var ErrFull = errors.New("as many sessions as there may be are stored")

// ErrContended is returned by [Table.Apply] if another process changed the session
// each time the table tried to change it.
var ErrContended = errors.New("session is changed by others without pause")
