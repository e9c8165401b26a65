package sessionstate

import (
	"context"
	"maps"
	"slices"
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

// counted has the counters of a cache.
type counted interface {
	Stats() (hits, misses, evictions uint64)
}

// Stats returns the figures of this moment.
func (t *Table) Stats() Stats {
	s := Stats{Sessions: t.Len(), Capacity: int(t.capacity.Load())}
	var memory any = t.resident
	if t.cache != nil {
		memory = t.cache
	}
	if c, ok := memory.(counted); ok {
		s.Hits, s.Misses, s.Evictions = c.Stats()
	}
	if t.behind != nil {
		s.Delayed = t.behind.len()
	}
	if breaker, ok := t.plain.(interface{ Down() float64 }); ok {
		s.Down = breaker.Down()
	}
	s.Newer = t.newer.Load()
	if d, ok := t.plain.(Detachable); ok {
		s.Detached = d.Detached()
	}
	if t.clock != nil {
		s.ClockAhead, s.ClockWithin, s.ClockKnown = t.clock.Ahead()
	}
	return s
}

// Session returns what is known of a key, or nil.
func (t *Table) Session(ctx context.Context, key string) (found *session.Session, err error) {
	err = t.update(ctx, key, ask{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
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
	if t.lags.observe(key, r, &lags, true) {
		preview.Lags = &lags
	}
	err = t.update(ctx, key, ask{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
		next, _ = session.Transition(s, &preview, decisions)
		next = next.Clone()
		return s, session.Unchanged
	})
	return next, err
}

// Forget removes a key from memory and store, and from the memory of all others
// that share the store. A message of it that arrives later begins anew.
func (t *Table) Forget(ctx context.Context, key string) error {
	if t.resident != nil {
		return t.store.Delete(ctx, key)
	}
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	lock, err := t.locks.lock(ctx, key)
	if err != nil {
		return err
	}
	defer t.locks.unlock(key, lock)
	if t.cache == nil {
		return t.store.Delete(ctx, key)
	}
	if _, err := t.behind.hold(ctx, key, 0); err != nil {
		return err
	}
	err = t.store.Delete(ctx, key)
	t.behind.settle(key, err == nil)
	t.cache.Remove(key)
	return err
}

// EraseTraces has what is left of forgotten sessions in a store that
// [LeavesTraces] overwritten in the background.
func (t *Table) EraseTraces(ctx context.Context) error {
	s, ok := t.plain.(LeavesTraces)
	if !ok {
		return nil
	}
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	return s.EraseTraces(ctx)
}

// SetAside returns the names of what the store could not read and keeps apart.
func (t *Table) SetAside() ([]string, error) {
	if s, ok := t.plain.(LeavesTraces); ok {
		return s.SetAside()
	}
	return nil, nil
}

// RemoveSetAside deletes that, and returns the names of what it deleted.
func (t *Table) RemoveSetAside() ([]string, error) {
	if s, ok := t.plain.(LeavesTraces); ok {
		return s.RemoveSetAside()
	}
	return nil, nil
}

// Unlink removes a link from the session of a key. It is durable when Unlink
// returns.
func (t *Table) Unlink(ctx context.Context, key, link string) error {
	return t.update(ctx, key, ask{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
		if s == nil || !s.HasLink(link) {
			return s, session.Unchanged
		}
		return s.Unlink(link), session.WriteThrough
	})
}

// Put writes a session that comes from elsewhere, if it is newer than what is
// known of its key, and reports whether it did. It is durable when Put returns.
func (t *Table) Put(ctx context.Context, key string, s *session.Session) (written bool, err error) {
	err = t.update(ctx, key, ask{fresh: true}, func(known *session.Session) (*session.Session, session.Change) {
		written = versionOf(known) < s.Version
		if !written {
			return known, session.Unchanged
		}
		return s, session.WriteThrough
	})
	return written, err
}

// Each calls fn for every session, in no order, until fn returns an error, which
// it returns. Sessions changed meanwhile may be seen in either state, or twice;
// what others who share the store have not written yet is not seen.
func (t *Table) Each(ctx context.Context, fn func(key string, s *session.Session) error) error {
	waiting := map[string]*session.Session{}
	if t.behind != nil {
		waiting = t.behind.waiting()
	}
	err := t.store.Scan(ctx, func(key string, s *session.Session) error {
		if later := waiting[key]; later != nil {
			delete(waiting, key)
			if later.Version > s.Version {
				s = later
			}
		}
		return fn(key, s)
	})
	if err != nil || t.shared {
		return err // a shared store has a session before anything of it may wait
	}
	for _, key := range slices.Sorted(maps.Keys(waiting)) {
		if err := fn(key, waiting[key]); err != nil {
			return err
		}
	}
	return nil
}

// waiting returns what is yet to be written, by key.
func (b *writeBehind) waiting() map[string]*session.Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]*session.Session, len(b.entries))
	for key, e := range b.entries {
		all[key] = e.next
	}
	return all
}

func (b *writeBehind) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries)
}
