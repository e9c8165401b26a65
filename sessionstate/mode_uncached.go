package sessionstate

import (
	"context"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// uncachedMode is for a store whose sessions must not be cached, because other
// processes change it and it does not report their changes.
type uncachedMode struct {
	store Store
	can   *abilities
	locks keyLocks
}

func (m *uncachedMode) waits() bool { return true }

func (m *uncachedMode) peek(string, readOptions, *session.Session) (*session.Session, bool) {
	return nil, false
}

func (m *uncachedMode) locked(key string) bool { return m.locks.locked(key) }

func (m *uncachedMode) tryWrite(write) bool { return false }

func (m *uncachedMode) lock(ctx context.Context, key string) (*keyLock, error) {
	return m.locks.lock(ctx, key)
}

func (m *uncachedMode) unlock(key string, lock *keyLock) { m.locks.unlock(key, lock) }

func (m *uncachedMode) read(ctx context.Context, key string, _ *keyLock, _ readOptions, _ *session.Session) (*session.Session, error) {
	return m.store.Get(ctx, key)
}

func (m *uncachedMode) write(ctx context.Context, w write) (written, error) {
	if w.change == session.CacheOnly {
		return written{}, nil // there is no cache
	}
	if w.old == nil && m.can.full() {
		return written{}, ErrFull
	}
	done, err := swap(ctx, m.store, w.key, versionOf(w.old), w.next)
	return written{conflict: !done}, err
}

func (m *uncachedMode) forget(ctx context.Context, key string) error {
	lock, err := m.locks.lock(ctx, key)
	if err != nil {
		return err
	}
	defer m.locks.unlock(key, lock)
	return m.store.Delete(ctx, key)
}

func (m *uncachedMode) each(ctx context.Context, fn func(string, *session.Session) error) error {
	return m.store.Scan(ctx, fn)
}

func (m *uncachedMode) configure(Settings) {}

func (m *uncachedMode) stats(*Stats) {}

func (m *uncachedMode) len() int { return 0 }

func (m *uncachedMode) close() error { return nil }
