package sessionstate

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// ownedMode is for a store that only this process changes. Cached sessions are right,
// however old they are. All changes can be written later, except those of control
// calls, which must survive a crash.
type ownedMode struct {
	*cachedMode
	// writeFirst is [Options.WriteFirst].
	writeFirst bool
}

// urgent reports whether a change should be in the store before its request is
// answered. While the store fails, the change is written later like any other.
func (m *ownedMode) urgent(c session.Change) bool { return m.writeFirst && c == session.Write }

func (m *ownedMode) tryWrite(w write) bool {
	if w.change == session.CacheOnly {
		m.cacheIdle(w)
		return true
	}
	if m.refusesNew(w) {
		return false // write returns the error
	}
	return w.change < session.WriteThrough && !m.urgent(w.change) && m.delayIdle(w, 0)
}

func (m *ownedMode) read(ctx context.Context, key string, lock *keyLock, _ readOptions, into *session.Session) (*session.Session, error) {
	if s := m.cache.Load(key, into); s != nil {
		return orNil(s), nil
	}
	if s := m.behind.get(key); s != nil {
		m.cachePut(key, lock, s)
		return s, nil
	}
	s, err := m.store.Get(ctx, key)
	if err == nil {
		m.cachePut(key, lock, s)
	}
	return s, err
}

func (m *ownedMode) write(ctx context.Context, w write) (written, error) {
	if w.change == session.CacheOnly {
		m.cachePut(w.key, w.lock, w.next)
		return written{}, nil
	}
	if m.refusesNew(w) {
		return written{}, ErrFull
	}
	if w.change == session.WriteThrough {
		return m.writeThrough(ctx, w)
	}
	result, err := m.delay(ctx, w, 0, m.urgent(w.change))
	if w.change <= session.Prompt && errors.Is(err, errTooManyDelayed) {
		// Keep the change in the cache only. next gets the stored version, so that the
		// next write does not conflict; if it is evicted, nobody loses a session.
		w.next.Version = versionOf(w.old)
		m.cachePut(w.key, w.lock, w.next)
		return written{}, nil
	}
	return result, err
}

func (m *ownedMode) writeThrough(ctx context.Context, w write) (written, error) {
	if m.behind.isFull(w.key, SourceOf(ctx)) {
		return written{}, errTooManyDelayed
	}
	old, err := m.behind.pin(ctx, w.key, versionOf(w.old))
	if err != nil {
		return written{}, err
	}
	done, err := swap(ctx, m.store, w.key, old, w.next)
	switch {
	case done:
		m.behind.unpin(w.key, true)
		m.cachePut(w.key, w.lock, w.next)
	case err != nil:
		m.behind.unpin(w.key, false)
		if w.options.noRollback {
			m.cache.Remove(w.key)
		} else {
			m.rollback(ctx, w)
		}
	default:
		m.cache.Remove(w.key)
		err = m.behind.rebase(ctx, w.key)
	}
	return written{conflict: !done}, err
}

// rollback queues the old session to be written again after a failed write. The store
// may have applied the write all the same, or may still do so, but the caller is told
// that nothing has changed.
func (m *ownedMode) rollback(ctx context.Context, w write) {
	again := &session.Session{Seen: w.next.Seen}
	if w.old != nil {
		again = w.old.Clone()
	}
	again.Version = w.next.Version + 1
	of := origin{source: SourceOf(ctx), class: controlRollback}
	if _, err := m.behind.put(w.key, w.next.Version, again, 0, of); err != nil {
		m.cache.Remove(w.key)
		return
	}
	m.cache.Put(w.key, again)
}

func (m *ownedMode) each(ctx context.Context, fn func(string, *session.Session) error) error {
	unmet, err := m.scan(ctx, fn)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(unmet)) {
		if err := fn(key, unmet[key]); err != nil {
			return err
		}
	}
	return nil
}
