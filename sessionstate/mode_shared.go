package sessionstate

import (
	"context"
	"errors"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// sharedMode is for a store that other processes change too, and that reports their
// changes. The others must see every change at once, except that a session was
// extended: only that is written later.
type sharedMode struct{ *cachedMode }

func (m *sharedMode) peek(key string, o readOptions, into *session.Session) (s *session.Session, known bool) {
	if o.fresh {
		return nil, false
	}
	return m.cachedMode.peek(key, o, into)
}

func (m *sharedMode) tryWrite(w write) bool {
	if w.change == session.CacheOnly {
		m.cacheIdle(w)
		return true
	}
	if m.refusesNew(w) {
		return false // write returns the error
	}
	return w.change == session.Deferred && m.delayIdle(w, w.options.waitBudget)
}

func (m *sharedMode) read(ctx context.Context, key string, lock *keyLock, o readOptions, into *session.Session) (*session.Session, error) {
	if s := m.cache.Load(key, into); s != nil && !o.fresh {
		return orNil(s), nil
	}
	if _, err := m.behind.pin(ctx, key, 0); err != nil {
		return nil, err
	}
	s, err := m.store.Get(ctx, key)
	s = m.behind.unpinAfterRead(key, s, err)
	if err == nil {
		m.cachePut(key, lock, s)
	}
	return s, err
}

func (m *sharedMode) write(ctx context.Context, w write) (written, error) {
	if w.change == session.CacheOnly {
		m.cachePut(w.key, w.lock, w.next)
		return written{}, nil
	}
	if m.refusesNew(w) {
		return written{}, ErrFull
	}
	if w.change == session.Deferred {
		result, err := m.delay(ctx, w, w.options.waitBudget, false)
		if !errors.Is(err, errTooManyDelayed) {
			return result, err
		}
	}
	result, err := m.writeThrough(ctx, w)
	if err != nil && w.change == session.Prompt {
		// Better that other processes see the change late than that the event fails.
		return m.delay(ctx, w, w.options.waitBudget, false)
	}
	return result, err
}

func (m *sharedMode) writeThrough(ctx context.Context, w write) (written, error) {
	old, err := m.behind.pin(ctx, w.key, versionOf(w.old))
	if err != nil {
		return written{}, err
	}
	done, err := swap(ctx, m.store, w.key, old, w.next)
	if done {
		m.behind.unpin(w.key, true)
		m.cachePut(w.key, w.lock, w.next)
		return written{}, err
	}
	// Another process came first, or the write failed and what the store has is unknown.
	m.behind.unpin(w.key, err == nil)
	m.cache.Remove(w.key)
	return written{conflict: true}, err
}

// each ignores pending changes of keys that are not in the store: a session is
// written to the store before changes of it are delayed.
func (m *sharedMode) each(ctx context.Context, fn func(string, *session.Session) error) error {
	_, err := m.scan(ctx, fn)
	return err
}

// invalidate removes a key that other processes have changed from the cache.
func (m *sharedMode) invalidate(key string) {
	// Those who lock the key from here on find nothing cached. Those who have it locked
	// already are told not to cache what they have read. The second removal is for
	// those who cached it just before.
	m.cache.Remove(key)
	m.locks.invalidate(key)
	m.cache.Remove(key)
	m.behind.drop(key)
}

// invalidateAll clears the cache: changes by other processes may have been missed.
func (m *sharedMode) invalidateAll() {
	m.cache.Clear()
	m.locks.invalidateAll()
	m.cache.Clear()
}
