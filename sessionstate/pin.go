package sessionstate

import (
	"context"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// A key is pinned while its session is read from the store or written to it without
// going through the queue. Pending changes of a pinned key are not flushed.

// pin waits until the key is not in flight, and keeps it from being flushed until
// unpin, unpinAfterRead or rebase. It returns the version that the store has of the
// key, which is known if no change is pending.
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

// unpin ends pin. If the caller has written the key, or another process has changed it,
// written is true, and unpin drops the pending change.
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

// unpinAfterRead ends pin after s was read from the store. If a change of s is pending,
// it returns the changed session. If another process has changed s, it drops the
// pending change and returns s.
func (b *writeBehind) unpinAfterRead(key string, s *session.Session, err error) *session.Session {
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

// rebase ends pin after a conflict in a store that no other process changes. The
// store has forgotten the session, by age for example, so the pending change is still
// valid, and is based on the version that the store has now.
func (b *writeBehind) rebase(ctx context.Context, key string) error {
	old, err := b.storedVersion(ctx, key)
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
