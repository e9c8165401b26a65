package sessionstate

import (
	"context"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// What follows are abilities that a [Store] may have: a [Table] finds out by type
// assertion, once, when it is made. Resident and Shared decide how the table works
// with the store (see mode); the others are independent of each other.

// Resident is a Store in memory, as fast as a cache, whose Get never fails: a
// [Table] has no cache before it. The table's capacity is then the store's.
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

// Shared is a Store in which other processes change sessions too. Of a store
// without this ability a [Table] assumes that nobody else changes it, and writes
// later what need not survive a crash.
type Shared interface {
	Store

	// Watch is called once, before any other method. The store then calls
	// invalidate with each key that another process may have changed, and
	// invalidateAll when it may have missed some. Neither call blocks. If Watch
	// returns false, the store tells of no change, and nothing that is read from it
	// may be cached.
	Watch(invalidate func(key string), invalidateAll func()) bool
}

// Forgetful is a Store that by itself forgets sessions that were not seen for the
// retention (see [session.Policy.Expired]). Until Retain is called it keeps all.
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

	// Spare is called once, before any other method: sessions of which inUse
	// reports true make room only if no others are left.
	Spare(inUse func(key string) bool)
}

// Detachable is a Store that can be deleted while it is open, such as a file. It
// refuses changes for as long as that is so.
type Detachable interface {
	Store

	// Detached reports whether the store has been deleted. It looks each time.
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

// Clocked is a Store with a clock of its own, by which all processes go that share
// it: what two of them decide is ordered by one clock.
type Clocked interface {
	Store

	// At returns what the store's clock said at a moment of this machine's clock.
	// It is the same moment as long as the store's clock is not known, or does not
	// differ by more than the measurement leaves open.
	At(local time.Time) time.Time

	// Ahead returns by how much this machine's clock is ahead of the store's, less
	// than 0 if it is behind, by how much that may be wrong, and whether it is known.
	Ahead() (ahead, within time.Duration, known bool)
}

// Breaker is a Store that does not wait for servers that it knows not to answer.
type Breaker interface {
	Store

	// Down returns the share of the servers that are known not to answer: 0 to 1.
	Down() float64
}

// Counted is a [Resident] store that counts look-ups.
type Counted interface {
	// Stats returns how many look-ups found their key and how many did not, and
	// how many sessions were evicted.
	Stats() (hits, misses, evictions uint64)
}

// abilities are the optional interfaces of a store, nil where it does not
// implement one. The methods do nothing then.
type abilities struct {
	forgetful  Forgetful
	bounded    Bounded
	detachable Detachable
	traces     LeavesTraces
	clocked    Clocked
	breaker    Breaker
	counted    Counted
}

func abilitiesOf(s Store) *abilities {
	a := new(abilities)
	a.forgetful, _ = s.(Forgetful)
	a.bounded, _ = s.(Bounded)
	a.detachable, _ = s.(Detachable)
	a.traces, _ = s.(LeavesTraces)
	a.clocked, _ = s.(Clocked)
	a.breaker, _ = s.(Breaker)
	a.counted, _ = s.(Counted)
	return a
}

// full reports whether the store would refuse a session of a new key.
func (a *abilities) full() bool { return a.bounded != nil && a.bounded.Full() }

func (a *abilities) configure(s Settings) {
	if a.forgetful != nil {
		a.forgetful.Retain(s.Retention)
	}
	if a.bounded != nil {
		a.bounded.Bound(s.MaxStored)
	}
}

func (a *abilities) stats(s *Stats) {
	if a.breaker != nil {
		s.Down = a.breaker.Down()
	}
	if a.detachable != nil {
		s.Detached = a.detachable.Detached()
	}
	if a.clocked != nil {
		s.ClockAhead, s.ClockWithin, s.ClockKnown = a.clocked.Ahead()
	}
}
