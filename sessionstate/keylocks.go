package sessionstate

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// keyLocks has a lock for each key that is being read from a store or written to it.
// Only the holder of the lock changes the cache entry of the key, so that a slow
// reader cannot replace a newer session by an older one.
type keyLocks struct {
	seed   maphash.Seed
	shards [64]lockShard
}

type lockShard struct {
	mu   sync.Mutex
	held map[string]*keyLock
	// count is len(held), readable without the mutex.
	count atomic.Int32
}

type keyLock struct {
	turn  chan struct{} // has one element while the key is locked
	users int           // the holder and those who wait, guarded by the shard's mutex
	// stale: another process has changed the session since the key was locked, so
	// what was read or written under the lock must not be cached.
	stale atomic.Bool
}

func (l *keyLocks) init() {
	l.seed = maphash.MakeSeed()
	for i := range l.shards {
		l.shards[i].held = map[string]*keyLock{}
	}
}

func (l *keyLocks) shard(key string) *lockShard {
	return &l.shards[maphash.String(l.seed, key)%uint64(len(l.shards))]
}

// locked reports whether somebody has the key locked.
func (l *keyLocks) locked(key string) bool {
	s := l.shard(key)
	if s.count.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[key] != nil
}

// idle returns false if somebody has the key locked. Otherwise it returns the result
// of fn, during which nobody can lock the key. fn must not block.
func (l *keyLocks) idle(key string, fn func() bool) bool {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[key] == nil && fn()
}

// lock locks a key. If the context ends first, it returns the context's error.
func (l *keyLocks) lock(ctx context.Context, key string) (*keyLock, error) {
	s := l.shard(key)
	s.mu.Lock()
	k := s.held[key]
	if k == nil {
		k = &keyLock{turn: make(chan struct{}, 1)}
		s.held[strings.Clone(key)] = k
		s.count.Add(1)
	}
	k.users++
	s.mu.Unlock()
	select {
	case k.turn <- struct{}{}:
		k.stale.Store(false)
		return k, nil
	case <-ctx.Done():
		l.leave(key, k)
		return nil, ctx.Err()
	}
}

func (l *keyLocks) unlock(key string, k *keyLock) {
	<-k.turn
	l.leave(key, k)
}

func (l *keyLocks) leave(key string, k *keyLock) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(s.held, key)
		s.count.Add(-1)
	}
}

// invalidate marks a key as changed by another process.
func (l *keyLocks) invalidate(key string) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.held[key]; k != nil {
		k.stale.Store(true)
	}
}

// invalidateAll marks every key as changed by another process.
func (l *keyLocks) invalidateAll() {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, k := range s.held {
			k.stale.Store(true)
		}
		s.mu.Unlock()
	}
}
