package sessionstate

import (
	"context"
	"strings"
	"sync"
)

// keyLocks has a lock for each key that is being read from a store or written
// to it. Who holds it is alone in changing what is cached of the key: a slow
// reader cannot put an old session into the place of a newer one.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]*keyLock
}

type keyLock struct {
	turn  chan struct{} // holds one element while the key is locked
	users int           // who holds it and who waits, guarded by keyLocks.mu
}

// lock waits for a key until the context ends, whose error it then returns.
func (l *keyLocks) lock(ctx context.Context, key string) error {
	l.mu.Lock()
	k := l.held[key]
	if k == nil {
		if l.held == nil {
			l.held = map[string]*keyLock{}
		}
		k = &keyLock{turn: make(chan struct{}, 1)}
		l.held[strings.Clone(key)] = k
	}
	k.users++
	l.mu.Unlock()
	select {
	case k.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		l.leave(key, k)
		return ctx.Err()
	}
}

func (l *keyLocks) unlock(key string) {
	l.mu.Lock()
	k := l.held[key]
	l.mu.Unlock()
	<-k.turn
	l.leave(key, k)
}

func (l *keyLocks) leave(key string, k *keyLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.held, key)
	}
}
