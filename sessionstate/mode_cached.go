package sessionstate

import (
	"context"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// cachedMode is what ownedMode and sharedMode have in common: a cache in front of
// the store, and changes that are written later.
type cachedMode struct {
	store Store
	can   *abilities
	// cache has the sessions, or their absence, as last read or written. Only the
	// holder of a key's lock changes the key's entry; others may only remove it.
	cache *Cache
	// behind has the changes that are to be written later.
	behind *writeBehind
	locks  keyLocks
}

// absent is cached for a key that has no session in the store.
var absent = new(session.Session)

// orNil returns the session, or nil if it is absent.
func orNil(s *session.Session) *session.Session {
	if s == absent {
		return nil
	}
	return s
}

func newCachedMode(store Store, can *abilities, o *Options) *cachedMode {
	m := &cachedMode{store: store, can: can, cache: NewCache(o.Capacity)}
	m.locks.init()
	if can.bounded != nil {
		can.bounded.Spare(m.cache.InUse)
	}
	return m
}

func (m *cachedMode) waits() bool { return true }

func (m *cachedMode) locked(key string) bool { return m.locks.locked(key) }

func (m *cachedMode) lock(ctx context.Context, key string) (*keyLock, error) {
	return m.locks.lock(ctx, key)
}

func (m *cachedMode) unlock(key string, lock *keyLock) { m.locks.unlock(key, lock) }

func (m *cachedMode) peek(key string, _ readOptions, into *session.Session) (s *session.Session, known bool) {
	cached := m.cache.Load(key, into)
	return orNil(cached), cached != nil
}

// refusesNew reports whether a write adds a key while the store is full.
func (m *cachedMode) refusesNew(w write) bool { return w.old == nil && m.can.full() }

// cachePut caches the session of a locked key, nil for none, unless others have
// changed the key since it was locked.
func (m *cachedMode) cachePut(key string, lock *keyLock, s *session.Session) {
	if s == nil {
		s = absent
	}
	m.cache.Put(key, s)
	if lock.stale.Load() {
		m.cache.Remove(key)
	}
}

// cacheIdle caches next if nobody has the key locked and the cache still has the
// session that next replaces. Otherwise next is discarded.
func (m *cachedMode) cacheIdle(w write) {
	m.locks.idle(w.key, func() bool {
		version, known := m.cache.Version(w.key)
		if known && version == versionOf(w.old) {
			m.cache.Put(w.key, w.next)
		}
		return true
	})
}

// delay queues next to be written within wait, or within the flush interval if that
// is longer. For an urgent change, done of the result is closed when it is written.
func (m *cachedMode) delay(ctx context.Context, w write, wait time.Duration, urgent bool) (written, error) {
	of := origin{source: SourceOf(ctx), class: eventClass(versionOf(w.old)), urgent: urgent}
	done, err := m.behind.put(w.key, versionOf(w.old), w.next, wait, of)
	if err != nil {
		return written{}, err
	}
	m.cachePut(w.key, w.lock, w.next)
	if w.lock.stale.Load() {
		m.behind.drop(w.key)
	}
	return written{done: done}, nil
}

// delayIdle does what delay does if nobody has the key locked and the cache still has
// the session that next replaces. Otherwise it returns false. If another process
// changes the session at the same time, the write of next finds the conflict.
func (m *cachedMode) delayIdle(w write, wait time.Duration) bool {
	return m.locks.idle(w.key, func() bool {
		old := versionOf(w.old)
		version, known := m.cache.Version(w.key)
		if !known || version != old {
			return false
		}
		// Its source is not known here: all such changes count as one source's.
		if _, err := m.behind.put(w.key, old, w.next, wait, origin{class: eventClass(old)}); err != nil {
			return false
		}
		m.cache.Put(w.key, w.next)
		return true
	})
}

func (m *cachedMode) forget(ctx context.Context, key string) error {
	lock, err := m.locks.lock(ctx, key)
	if err != nil {
		return err
	}
	defer m.locks.unlock(key, lock)
	if _, err := m.behind.pin(ctx, key, 0); err != nil {
		return err
	}
	err = m.store.Delete(ctx, key)
	m.behind.unpin(key, err == nil)
	m.cache.Remove(key)
	return err
}

// scan calls fn for every session of the store, with its pending change if it has
// one. It returns the pending changes of keys that are not in the store.
func (m *cachedMode) scan(ctx context.Context, fn func(string, *session.Session) error) (unmet map[string]*session.Session, err error) {
	unmet = m.behind.pending()
	err = m.store.Scan(ctx, func(key string, s *session.Session) error {
		if later := unmet[key]; later != nil {
			delete(unmet, key)
			if later.Version > s.Version {
				s = later
			}
		}
		return fn(key, s)
	})
	return unmet, err
}

func (m *cachedMode) configure(s Settings) {
	m.cache.Resize(s.Capacity)
	m.behind.setInterval(s.FlushInterval)
}

func (m *cachedMode) stats(s *Stats) {
	s.Hits, s.Misses, s.Evictions = m.cache.Stats()
	s.Delayed = m.behind.len()
}

func (m *cachedMode) len() int { return m.cache.Len() }

func (m *cachedMode) close() error { return m.behind.close() }
