package sessionstate

import (
	"context"
	"time"
)

// Table is the sessions of one store, with a cache of bounded size in front of
// it. It is safe for concurrent use.
type Table struct {
	store Store
	// cache is nil where the store is resident. What is cached of a key is
	// changed only by who holds its lock.
	cache    *Cache
	locks    keyLocks
	deadline time.Duration
}

// attempts bounds how often a change is tried again after others changed the
// same session. Somebody succeeds each time, so it takes as many concurrent
// requests of one user to reach it.
const attempts = 100

// NewTable makes a table over a store. capacity bounds the cache, or the store
// itself if it is [Resident], to so many sessions. deadline bounds how long one
// call of the table waits for a store that is not resident; 0 does not.
func NewTable(store Store, capacity int, deadline time.Duration) *Table {
	t := &Table{store: store, deadline: deadline}
	if r, ok := store.(Resident); ok {
		r.Resize(capacity)
	} else {
		t.cache = NewCache(capacity)
	}
	return t
}

// Resize bounds the table's memory to capacity sessions.
func (t *Table) Resize(capacity int) {
	if t.cache != nil {
		t.cache.Resize(capacity)
		return
	}
	t.store.(Resident).Resize(capacity)
}

// Len returns how many sessions are in memory.
func (t *Table) Len() int {
	if t.cache != nil {
		return t.cache.Len()
	}
	return t.store.(Resident).Len()
}

// Apply runs [Transition] for the messages of one key and stores what changed;
// decisions must be as long as events. If it returns an error nothing was
// changed and decisions mean nothing. The key may be a part of a longer string:
// what is kept of it is copied.
func (t *Table) Apply(ctx context.Context, key string, now int64, p *Policy, events []Event, decisions []Decision) error {
	return t.update(ctx, key, func(s *Session) (*Session, Change) {
		return Transition(s, now, p, events, decisions)
	})
}

// Release frees the start mark of session id of a key if message m carries it.
func (t *Table) Release(ctx context.Context, key string, m MessageID, id int64) error {
	return t.update(ctx, key, func(s *Session) (*Session, Change) {
		if next := Release(s, m, id); next != s {
			return next, Changed
		}
		return s, Unchanged
	})
}

// Current returns the id of a key's session at time now, or 0 if there is none.
func (t *Table) Current(ctx context.Context, key string, now int64, p *Policy) (id int64, err error) {
	err = t.update(ctx, key, func(s *Session) (*Session, Change) {
		id = Current(s, now, p)
		return s, Unchanged
	})
	return id, err
}

// update asks change what becomes of a key's session until that could be
// written, or nothing is to be. Where nothing is to be for what is cached, it
// waits for nobody.
func (t *Table) update(ctx context.Context, key string, change func(*Session) (*Session, Change)) error {
	if t.cache != nil {
		if s := t.cache.Get(key); s != nil {
			if _, changed := change(s); changed == Unchanged {
				return nil
			}
		}
		var cancel context.CancelFunc
		ctx, cancel = t.bounded(ctx)
		defer cancel()
		if err := t.locks.lock(ctx, key); err != nil {
			return err
		}
		defer t.locks.unlock(key)
	}
	for range attempts {
		s, err := t.get(ctx, key)
		if err != nil {
			return err
		}
		next, changed := change(s)
		if changed == Unchanged {
			return nil
		}
		ok, err := t.swap(ctx, key, s, next, changed == Controlled)
		if ok || err != nil {
			return err
		}
	}
	return ErrContended
}

// Close closes the store.
func (t *Table) Close() error { return t.store.Close() }

func (t *Table) get(ctx context.Context, key string) (*Session, error) {
	if t.cache != nil {
		if s := t.cache.Get(key); s != nil {
			return s, nil
		}
	}
	s, err := t.store.Get(ctx, key)
	if t.cache != nil && s != nil && err == nil {
		t.cache.Put(key, s)
	}
	return s, err
}

func (t *Table) swap(ctx context.Context, key string, s, next *Session, durable bool) (bool, error) {
	var old uint64
	if s != nil {
		old = s.Version
	}
	ok, err := t.store.CompareAndSwap(ctx, key, old, next, durable)
	switch {
	case t.cache == nil:
	case ok:
		t.cache.Put(key, next)
	default:
		// What was read is not what is stored, or it is not known what is.
		t.cache.Remove(key)
	}
	return ok, err
}

func (t *Table) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.deadline == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.deadline)
}
