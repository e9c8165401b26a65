package sessionstate

import (
	"context"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// cachedMode is what ownedMode and sharedMode have in common: a cache before the
// store, and changes that are written later.
type cachedMode struct {
	store Store
	can   *abilities
	// cache has what is known of the store. Only the holder of a key's lock changes
	// what is cached of the key; others may only remove it.
	cache *Cache
	// behind has what is to be written later.
	behind *writeBehind
	locks  keyLocks
}

// absent is what is cached of a key that the store has nothing of.
var absent = new(session.Session)

// orNil returns the session, or nil if it stands for none.
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

// refusesNew reports whether a write is of a new key, and the store is full.
func (m *cachedMode) refusesNew(w write) bool { return w.old == nil && m.can.full() }

// cachePut caches what is known of a locked key, unless others have changed the
// key since it was locked.
func (m *cachedMode) cachePut(key string, lock *keyLock, s *session.Session) {
	if s == nil {
		s = absent
	}
	m.cache.Put(key, s)
	if lock.stale.Load() {
		m.cache.Remove(key)
	}
}

// cacheIdle caches next if nobody has the key locked, and the cache still has the
// session that next was made from. Otherwise next is lost.
func (m *cachedMode) cacheIdle(w write) {
	m.locks.idle(w.key, func() bool {
		version, known := m.cache.Version(w.key)
		if known && version == versionOf(w.old) {
			m.cache.Put(w.key, w.next)
		}
		return true
	})
}

// delay has next written within wait, or the flush interval if that is longer.
// Of an urgent change it returns what is closed when it is written.
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

// delayIdle does what delay does if nobody has the key locked, and the cache still
// has the session that next was made from, and reports whether it did. Others may
// tell of a change at the same time: that is seen when next is written.
func (m *cachedMode) delayIdle(w write, wait time.Duration) bool {
	return m.locks.idle(w.key, func() bool {
		old := versionOf(w.old)
		version, known := m.cache.Version(w.key)
		if !known || version != old {
			return false
		}
		// A change that can be delayed so counts as no source's.
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

// scan calls fn for every session of the store, in its state after the changes
// that wait, and returns the changes of keys that it has not met.
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
