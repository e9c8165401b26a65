package sessionstate

import (
	"context"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Stats are the figures of a table at a moment.
type Stats struct {
	// Sessions are in memory, keys included that are known to have none; at most
	// Capacity.
	Sessions, Capacity int
	// Hits and Misses count look-ups in memory, Evictions what made room there.
	Hits, Misses, Evictions uint64
	// Delayed changes wait to be written.
	Delayed int
	// Down is the share of the store that is known not to answer: 0 to 1.
	Down float64
	// Newer counts sessions that were to be read and could not be, because a later
	// version has written them.
	Newer uint64
	// Detached: what is written now is not found after a restart (see [Detachable]).
	Detached bool
	// ClockAhead is by how much this machine's clock is ahead of the store's, less
	// than 0 if it is behind, ClockWithin by how much that may be wrong, and
	// ClockKnown whether it is known.
	ClockAhead, ClockWithin time.Duration
	ClockKnown              bool
}

// Stats returns the figures of this moment.
func (t *Table) Stats() Stats {
	s := Stats{Sessions: t.Len(), Capacity: int(t.capacity.Load()), Newer: t.newer.Load()}
	t.mode.stats(&s)
	t.can.stats(&s)
	return s
}

// Session returns what is known of a key, or nil.
func (t *Table) Session(ctx context.Context, key string) (found *session.Session, err error) {
	err = t.update(ctx, key, readOptions{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
		found = s.Clone()
		return s, session.Unchanged
	})
	return found, err
}

// Preview does what [Table.Apply] does, but changes nothing: it returns what the
// session would become.
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

// Forget removes a key from memory and store, and from the memory of all others
// that share the store. A message of it that arrives later begins anew.
func (t *Table) Forget(ctx context.Context, key string) error {
	ctx, cancel := t.withDeadline(ctx)
	defer cancel()
	return t.mode.forget(ctx, key)
}

// EraseTraces has what is left of forgotten sessions in a store that
// [LeavesTraces] overwritten in the background.
func (t *Table) EraseTraces(ctx context.Context) error {
	if t.can.traces == nil {
		return nil
	}
	ctx, cancel := t.withDeadline(ctx)
	defer cancel()
	return t.can.traces.EraseTraces(ctx)
}

// SetAside returns the names of what the store could not read and keeps apart.
func (t *Table) SetAside() ([]string, error) {
	if t.can.traces == nil {
		return nil, nil
	}
	return t.can.traces.SetAside()
}

// RemoveSetAside deletes that, and returns the names of what it deleted.
func (t *Table) RemoveSetAside() ([]string, error) {
	if t.can.traces == nil {
		return nil, nil
	}
	return t.can.traces.RemoveSetAside()
}

// Unlink removes a link from the session of a key. It is durable when Unlink
// returns.
func (t *Table) Unlink(ctx context.Context, key, link string) error {
	return t.update(ctx, key, readOptions{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
		if s == nil || !s.HasLink(link) {
			return s, session.Unchanged
		}
		return s.Unlink(link), session.WriteThrough
	})
}

// Put writes a session that comes from elsewhere, if it is newer than what is
// known of its key, and reports whether it did. It is durable when Put returns.
func (t *Table) Put(ctx context.Context, key string, s *session.Session) (written bool, err error) {
	err = t.update(ctx, key, readOptions{fresh: true}, func(known *session.Session) (*session.Session, session.Change) {
		written = versionOf(known) < s.Version
		if !written {
			return known, session.Unchanged
		}
		return s, session.WriteThrough
	})
	return written, err
}

// Each calls fn for every session, in no order, until fn returns an error, which
// it returns. Sessions changed meanwhile may be seen in either state, or twice.
// What other processes have not written yet to a shared store is not seen.
func (t *Table) Each(ctx context.Context, fn func(key string, s *session.Session) error) error {
	return t.mode.each(ctx, fn)
}
