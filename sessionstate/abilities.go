package sessionstate

import (
	"context"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// These interfaces are optional for a [Store]. A [Table] checks for them by type
// assertion when it is made. Resident and Shared decide how the table works with the
// store (see mode); the others are independent of each other.

// Resident is a Store in memory that is as fast as a cache, and whose Get never fails.
// A [Table] uses it without a cache, and the table's capacity is the store's.
type Resident interface {
	Store

	// Load is Get without an allocation: it may decode the session into the given one,
	// overwriting its segments. It must not keep key.
	Load(key string, into *session.Session) *session.Session

	// Resize sets how many sessions are kept at most. Beyond that, the least recently
	// used ones are forgotten.
	Resize(capacity int)

	// Len returns how many sessions are kept.
	Len() int
}

// Shared is a Store in which other processes change sessions too. A [Table] assumes
// that nobody else changes a store without this interface, and delays writes that need
// not survive a crash.
type Shared interface {
	Store

	// Watch is called once, before any other method. The store then calls
	// invalidate with each key that another process may have changed, and
	// invalidateAll when it may have missed some. Neither call blocks. If Watch
	// returns false, the store reports no changes, and nothing that is read from it
	// may be cached.
	Watch(invalidate func(key string), invalidateAll func()) bool
}

// Forgetful is a Store that by itself forgets sessions that were not seen for the
// retention (see [session.Policy.Expired]). It keeps all sessions until Retain is
// called.
type Forgetful interface {
	Store

	// Retain sets the retention, in milliseconds.
	Retain(retention int64)
}

// Bounded is a Store, other than a Resident one, that keeps a limited number of
// sessions. Beyond that, it forgets those that were not seen for the longest time.
type Bounded interface {
	Store

	// Bound sets the limit; 0, the initial value, is no limit.
	Bound(sessions int64)

	// Full reports whether the store would now refuse a session of a new key.
	Full() bool

	// Spare is called once, before any other method. The store forgets sessions for
	// which inUse returns true only if no others are left.
	Spare(inUse func(key string) bool)
}

// Detachable is a Store that can be deleted while it is open, such as a file. It
// refuses changes while it is deleted.
type Detachable interface {
	Store

	// Detached reports whether the store is deleted. It checks at each call.
	Detached() bool
}

// LeavesTraces is a Store that may contain session data that its other methods do not
// show: deleted data that is not overwritten yet, and data that it could not read and
// has set aside.
type LeavesTraces interface {
	Store

	// EraseTraces has deleted data overwritten in the background. When it returns,
	// this is certain to happen, even after a crash.
	EraseTraces(ctx context.Context) error

	// SetAside returns the names of what is set aside.
	SetAside() ([]string, error)

	// RemoveSetAside deletes what is set aside, and returns the names of what it
	// deleted.
	RemoveSetAside() ([]string, error)
}

// Clocked is a Store with a clock of its own. All processes that share the store use
// this clock, so that one clock orders their decisions.
type Clocked interface {
	Store

	// At converts a time of this machine's clock to the store's clock. It returns
	// local unchanged while the store's clock is unknown, or differs by no more than
	// the uncertainty of the measurement.
	At(local time.Time) time.Time

	// Ahead returns how far this machine's clock is ahead of the store's (negative if
	// it is behind), the uncertainty of that, and whether it is known.
	Ahead() (ahead, within time.Duration, known bool)
}

// Breaker is a Store with a circuit breaker: it does not call servers that are known
// not to answer.
type Breaker interface {
	Store

	// Down returns the share of the servers that are known not to answer: 0 to 1.
	Down() float64
}

// Counted is a [Resident] store that counts look-ups.
type Counted interface {
	// Stats returns the numbers of hits, misses and evicted sessions.
	Stats() (hits, misses, evictions uint64)
}

// abilities are the optional interfaces of a store, nil if it does not implement them.
// The methods then do nothing.
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
