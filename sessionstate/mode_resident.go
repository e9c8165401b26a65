package sessionstate

import (
	"context"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// residentMode is for a store in memory: it needs no cache, no locks and no deadline.
type residentMode struct {
	store  Resident
	memory Counted // nil if the store does not count
}

func (m *residentMode) waits() bool { return false }

func (m *residentMode) peek(string, readOptions, *session.Session) (*session.Session, bool) {
	return nil, false
}

func (m *residentMode) locked(string) bool { return false }

func (m *residentMode) tryWrite(write) bool { return false }

func (m *residentMode) lock(context.Context, string) (*keyLock, error) { return nil, nil }

func (m *residentMode) unlock(string, *keyLock) {}

func (m *residentMode) read(_ context.Context, key string, _ *keyLock, _ readOptions, into *session.Session) (*session.Session, error) {
	return m.store.Load(key, into), nil
}

func (m *residentMode) write(ctx context.Context, w write) (written, error) {
	if w.change == session.CacheOnly {
		w.next.Version++
	}
	done, err := swap(ctx, m.store, w.key, versionOf(w.old), w.next)
	return written{conflict: !done}, err
}

func (m *residentMode) forget(ctx context.Context, key string) error {
	return m.store.Delete(ctx, key)
}

func (m *residentMode) each(ctx context.Context, fn func(string, *session.Session) error) error {
	return m.store.Scan(ctx, fn)
}

func (m *residentMode) configure(s Settings) { m.store.Resize(s.Capacity) }

func (m *residentMode) stats(s *Stats) {
	if m.memory != nil {
		s.Hits, s.Misses, s.Evictions = m.memory.Stats()
	}
}

func (m *residentMode) len() int { return m.store.Len() }

func (m *residentMode) close() error { return nil }
