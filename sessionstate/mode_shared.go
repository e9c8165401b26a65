package sessionstate

import (
	"context"
	"errors"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// sharedMode is a store that other processes change too, and that tells of their
// changes. Others must know of all changes at once but how long a session lasts:
// only that is written later.
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
		// Others should know it now, but that is no reason to give up an event.
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
	// Others came first, or it is not known what the store has.
	m.behind.unpin(w.key, err == nil)
	m.cache.Remove(w.key)
	return written{conflict: true}, err
}

// each leaves out changes of keys that the store does not have: it has a session
// before any change of it may wait.
func (m *sharedMode) each(ctx context.Context, fn func(string, *session.Session) error) error {
	_, err := m.scan(ctx, fn)
	return err
}

// invalidate removes what is cached of a key that others have changed.
func (m *sharedMode) invalidate(key string) {
	// Whoever locks the key between the two removals finds nothing cached. Whoever
	// has it locked already learns not to cache what they have read.
	m.cache.Remove(key)
	m.locks.invalidate(key)
	m.cache.Remove(key)
	m.behind.drop(key)
}

// invalidateAll removes all that is cached: changes of others may have been missed.
func (m *sharedMode) invalidateAll() {
	m.cache.Clear()
	m.locks.invalidateAll()
	m.cache.Clear()
}
