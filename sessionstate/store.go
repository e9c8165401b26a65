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

// Resident is a Store that is as fast as a cache, and whose Get never fails: a
// [Table] keeps no cache in front of it. The table's capacity is then the store's.
type Resident interface {
	Store

	// Load does what Get does, without an allocation: it may put the session into
	// the one given, overwriting its segments. It keeps nothing of key.
	Load(key string, into *session.Session) *session.Session

	// Resize sets how many sessions are kept at most; the least recently used
	// ones go.
	Resize(capacity int)

	// Len returns how many sessions are kept.
	Len() int
}

// Shared is a Store in which other processes change sessions too. Without it a
// [Table] takes its store for its own, and may write later what need not
// survive a crash.
type Shared interface {
	Store

	// Watch is called once, before all else. The store then calls changed with
	// each key that somebody else may have changed, and lost when it may have
	// missed some. Neither call blocks. If it returns false, no change is told,
	// and nothing that is read may be kept.
	Watch(changed func(key string), lost func()) bool
}

// Forgetful is a Store that forgets by itself sessions that were not seen for
// the retention, as [session.Policy.Expired] tells it. Until it is told, it keeps all.
type Forgetful interface {
	Store

	// Retain sets the retention, in milliseconds.
	Retain(retention int64)
}

// Bounded is a Store that keeps a bounded number of sessions, and is not a
// [Table]'s cache: where there are more, those not seen for longest make room.
type Bounded interface {
	Store

	// Bound sets the number; 0 for any. Until it is called, it is any.
	Bound(sessions int64)

	// Full reports whether a session of a key that the store does not have would
	// be refused now.
	Full() bool

	// Spare is called once, before all else: sessions of which inUse reports true
	// make room only where no others are left.
	Spare(inUse func(key string) bool)
}

// Detachable is a Store whose place can be taken away while it is open, such as a
// file that is deleted. It refuses changes for as long as that is so.
type Detachable interface {
	Store

	// Detached reports whether it has been. It asks for it anew each time.
	Detached() bool
}

// LeavesTraces is a Store that may have more of a session than its methods show:
// what was deleted and is not yet overwritten, and what it could not read, which
// it keeps apart.
type LeavesTraces interface {
	Store

	// EraseTraces has what was deleted overwritten, in the background. It returns
	// when that is sure to be done, after a crash too.
	EraseTraces(ctx context.Context) error

	// SetAside returns the names of what is kept apart.
	SetAside() ([]string, error)

	// RemoveSetAside deletes it, and returns the names of what it deleted.
	RemoveSetAside() ([]string, error)
}

// ErrFull is returned by [Table.Apply] for a key that is new to a [Bounded] store
// that is full.
var ErrFull = errors.New("as many sessions as there may be are stored")

// ErrContended is returned by [Table.Apply] when a session was changed by
// others each time the table tried to change it.
var ErrContended = errors.New("session is changed by others without pause")
