package sessionstate

import (
	"context"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// A key whose session is about to be read from the store or written to it, past
// the changes that wait, is pinned until that is done: nothing of it is flushed.

// pin waits until the key is not in flight, and keeps it from being written until
// unpin, unpinOver or rebase. It returns the version that the store has of the key:
// known, if no change of it waits.
func (b *writeBehind) pin(ctx context.Context, key string, known session.Version) (old session.Version, err error) {
	for {
		b.mu.Lock()
		e := b.entries[key]
		if e == nil || e.inFlight == nil {
			if e != nil {
				e.pinned = true
				known = e.old
			}
			b.mu.Unlock()
			return known, nil
		}
		inFlight := e.inFlight
		b.mu.Unlock()
		select {
		case <-inFlight:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// unpin ends pin. If the key was written since, or others came first, it drops the
// change that waits.
func (b *writeBehind) unpin(key string, written bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil {
		e.pinned = false
		if written {
			b.remove(key, e)
		}
	}
}

// unpinOver ends pin after s was read from the store. It returns the session that
// waits to be written over s, or s if there is none, or others came first.
func (b *writeBehind) unpinOver(key string, s *session.Session, err error) *session.Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[key]
	if e == nil {
		return s
	}
	e.pinned = false
	if err == nil && versionOf(s) == e.old {
		return e.next
	}
	if err == nil {
		b.remove(key, e)
	}
	return s
}

// rebase ends pin after a conflict in a store that nobody else changes: the store
// has dropped what it had, such as by age, and the change that waits still holds.
func (b *writeBehind) rebase(ctx context.Context, key string) error {
	old, err := b.stored(ctx, key)
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil {
		e.pinned = false
		switch {
		case err != nil:
		case old == e.next.Version:
			b.remove(key, e)
		default:
			e.old = old
		}
	}
	return err
}
