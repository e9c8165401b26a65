package sessionstate

import (
	"context"
	"errors"
)

// Store keeps sessions by key. It knows nothing of their meaning: all it has
// to get right is that one of two concurrent changes wins and the other is told.
//
// Methods are called concurrently. Errors mean that the state cannot be had or
// was not written; they are not wrapped in anything a client sees, so they may
// name hosts and files, but never a key.
type Store interface {
	// Get returns the session of a key, or nil if there is none.
	Get(ctx context.Context, key string) (*Session, error)

	// CompareAndSwap writes next if the key's session still has version old (0:
	// no session), and reports whether it did. A false is no error: somebody
	// else's change came first. With durable set the session must survive a
	// crash once CompareAndSwap has returned; without, it may be lost for as
	// long as the store says.
	CompareAndSwap(ctx context.Context, key string, old uint64, next *Session, durable bool) (bool, error)

	// Delete forgets a key. To delete an unknown key is no error.
	Delete(ctx context.Context, key string) error

	// Scan calls fn for every session, in no order, until fn returns an error,
	// which it returns. Sessions changed meanwhile may be seen in either state.
	Scan(ctx context.Context, fn func(key string, s *Session) error) error

	// Close releases what the store holds. No method is called after it.
	Close() error
}

// Resident is a Store that is as fast as a cache: a [Table] keeps none in front
// of it. The table's capacity is then the store's.
type Resident interface {
	Store

	// Resize sets how many sessions are kept at most; the least recently used
	// ones go.
	Resize(capacity int)

	// Len returns how many sessions are kept.
	Len() int
}

// ErrContended is returned by [Table.Apply] when a session was changed by
// others each time the table tried to change it.
var ErrContended = errors.New("session is changed by others without pause")
