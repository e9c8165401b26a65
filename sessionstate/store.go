package sessionstate

import (
	"context"
	"errors"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Store keeps sessions by key. It knows nothing of their meaning: all it has
// to get right is that one of two concurrent changes wins and the other is told.
//
// Methods are called concurrently. Errors mean that the state cannot be had or
// was not written; they are not wrapped in anything a client sees, so they may
// name hosts and files, but never a key.
type Store interface {
	// Get returns the session of a key, or nil if there is none.
	Get(ctx context.Context, key string) (*session.Session, error)

	// CompareAndSwap carries out changes of different keys, each by itself: it
	// writes Next if the key's session still has version Old, and says in Done
	// and Err what came of it. What is done survives a crash of the process.
	CompareAndSwap(ctx context.Context, changes []Swap)

	// Delete forgets a key. To delete an unknown key is no error.
	Delete(ctx context.Context, key string) error

	// Scan calls fn for every session, in no order, until fn returns an error,
	// which it returns. Sessions changed meanwhile may be seen in either state,
	// and one may be seen twice.
	Scan(ctx context.Context, fn func(key string, s *session.Session) error) error

	// Close releases what the store holds. No method is called after it.
	Close() error
}

// Swap is a change of one session.
type Swap struct {
	Key string
	// Old is the version that the session must have; 0: there must be none.
	Old session.Version
	// Next is the new session; its version is above Old.
	Next *session.Session

	// Done says that Next was written. If it is false and Err is nil somebody
	// else's change came first.
	Done bool
	Err  error
}

// ErrFull is returned by [Table.Apply] for a key that is new to a [Bounded] store
// that is full.
var ErrFull = errors.New("as many sessions as there may be are stored")

// ErrContended is returned by [Table.Apply] when a session was changed by
// others each time the table tried to change it.
var ErrContended = errors.New("session is changed by others without pause")
