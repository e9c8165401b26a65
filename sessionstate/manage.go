package sessionstate

import (
	"context"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Stats are the figures of a table at one moment.
type Stats struct {
	// Sessions is the number of keys in memory, including those that are known to have
	// no session. It is at most Capacity.
	Sessions, Capacity int
	// Hits and Misses count look-ups in memory, Evictions the sessions evicted from it.
	Hits, Misses, Evictions uint64
	// Delayed is the number of pending changes.
	Delayed int
	// Down is the share of the store's servers that are known not to answer: 0 to 1.
	Down float64
	// Newer counts attempts to read sessions that a later release has written.
	Newer uint64
	// Detached: the store is deleted, and changes will be lost (see [Detachable]).
	Detached bool
	// ClockAhead is how far this machine's clock is ahead of the store's (negative if it
	// is behind), ClockWithin the uncertainty of that, and ClockKnown whether it is
	// known.
	ClockAhead, ClockWithin time.Duration
	ClockKnown              bool
}

// Stats returns the current figures.
func (t *Table) Stats() Stats {
	s := Stats{Sessions: t.Len(), Capacity: int(t.capacity.Load()), Newer: t.newer.Load()}
	t.mode.stats(&s)
	t.can.stats(&s)
	return s
}

// Session returns a copy of the session of a key, or nil.
func (t *Table) Session(ctx context.Context, key string) (found *session.Session, err error) {
	err = t.update(ctx, key, readOptions{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
		found = s.Clone()
		return s, session.Unchanged
	})
	return found, err
}

// Preview is [Table.Apply] without any change: it returns the session that would
// result.
func (t *Table) Preview(ctx context.Context, key string, r *session.Request, decisions []session.Decision) (next *session.Session, err error) {
	var lags session.Lags
	preview := *r
	preview.Past = true
	if t.lags.observe(key, r, &lags, true) {
		preview.Lags = &lags
	}
	err = t.update(ctx, key, readOptions{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
		next, _ = session.Transition(s, &preview, decisions)
		next = next.Clone()
		return s, session.Unchanged
	})
	return next, err
}

// Forget deletes the session of a key from memory and store, and from the memory of all
// processes that share the store.
func (t *Table) Forget(ctx context.Context, key string) error {
	ctx, cancel := t.withDeadline(ctx)
	defer cancel()
	return t.mode.forget(ctx, key)
}

// EraseTraces has the remains of deleted sessions overwritten in the background, if the
// store [LeavesTraces].
func (t *Table) EraseTraces(ctx context.Context) error {
	if t.can.traces == nil {
		return nil
	}
	ctx, cancel := t.withDeadline(ctx)
	defer cancel()
	return t.can.traces.EraseTraces(ctx)
}

// SetAside returns the names of what the store could not read and has set aside.
func (t *Table) SetAside() ([]string, error) {
	if t.can.traces == nil {
		return nil, nil
	}
	return t.can.traces.SetAside()
}

// RemoveSetAside deletes what is set aside, and returns the names of what it deleted.
func (t *Table) RemoveSetAside() ([]string, error) {
	if t.can.traces == nil {
		return nil, nil
	}
	return t.can.traces.RemoveSetAside()
}

// Unlink removes the links of a value from the session of a key. The change is durable
// when Unlink returns.
func (t *Table) Unlink(ctx context.Context, key, link string) error {
	return t.update(ctx, key, readOptions{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
		if s == nil || !s.HasLink(link) {
			return s, session.Unchanged
		}
		return s.Unlink(link), session.WriteThrough
	})
}

// Put writes an imported session if it is newer than the one of its key, and reports
// whether it did. The change is durable when Put returns. If it returns an error, the
// session may have been written; to call Put again is safe.
func (t *Table) Put(ctx context.Context, key string, s *session.Session) (written bool, err error) {
	err = t.update(ctx, key, readOptions{fresh: true, noRollback: true}, func(known *session.Session) (*session.Session, session.Change) {
		written = versionOf(known) < s.Version
		if !written {
			return known, session.Unchanged
		}
		return s, session.WriteThrough
	})
	return written, err
}

// Each calls fn for every session, in any order, until fn returns an error, and returns
// that error. fn may see the old or the new state of a session that changes meanwhile,
// and may see a session twice. It does not see pending changes of other processes.
func (t *Table) Each(ctx context.Context, fn func(key string, s *session.Session) error) error {
	return t.mode.each(ctx, fn)
}
