package sessionstate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// readOptions are what an update needs of the session that it reads, and of the
// one that it writes.
type readOptions struct {
	// fresh: changes that others made to a shared store must be seen, however
	// recent.
	fresh bool
	// waitBudget is how long others may not know that a session lasts longer. They
	// need to once its timeout has passed, which is much later.
	waitBudget time.Duration
	// noRollback: if a write fails, the caller will try again, so it need not be undone.
	noRollback bool
}

// maxWaitBudget bounds how much shorter than it was a session can seem after a
// crash.
const maxWaitBudget = 10 * time.Second

func readOptionsOf(r *session.Request) readOptions {
	o := readOptions{waitBudget: min(time.Duration(r.Policy.Timeout)*time.Millisecond/8, maxWaitBudget)}
	for i := range r.Events {
		o.fresh = o.fresh || r.Events[i].Kind.Control()
	}
	return o
}

// attempts bounds how often an update is tried again after others changed the
// same session. One of them succeeds each time, so it takes as many concurrent
// requests of one user to reach the bound.
const attempts = 100

// scratches are sessions to decode what is cached into. An update that ends
// keeps nothing of its scratch.
var scratches = sync.Pool{New: func() any {
	return &session.Session{Segments: make([]session.Segment, 0, session.MaxSegments)}
}}

// updateFunc returns what becomes of a session, nil for none, and how durable that
// has to be. It may be called several times.
type updateFunc = func(s *session.Session) (next *session.Session, change session.Change)

// update calls change with the session of a key until what it returns could be
// written, or nothing is to be.
func (t *Table) update(ctx context.Context, key string, o readOptions, change updateFunc) error {
	scratch := scratches.Get().(*session.Session)
	defer scratches.Put(scratch)
	return t.updateIn(scratch, ctx, key, o, change)
}

func (t *Table) updateIn(scratch *session.Session, ctx context.Context, key string, o readOptions, change updateFunc) error {
	if t.tryCached(scratch, key, o, change) {
		return nil
	}
	bounded, cancel := t.withDeadline(ctx)
	defer cancel()
	done, err := t.updateLocked(scratch, bounded, key, o, change)
	// The key is unlocked by now: nobody else has to wait for this write.
	t.awaitWrite(bounded, done)
	return err
}

// tryUpdate does an update if it need not wait for the store, and reports whether
// it did.
func (t *Table) tryUpdate(scratch *session.Session, key string, o readOptions, change updateFunc) bool {
	if t.mode.waits() {
		return t.tryCached(scratch, key, o, change)
	}
	return t.updateIn(scratch, context.Background(), key, o, change) == nil
}

// tryCached does an update of what is cached if nothing is to be written, or it
// can be written later. It waits for nobody. It declines if the key is locked: the
// cached session may be about to change.
func (t *Table) tryCached(scratch *session.Session, key string, o readOptions, change updateFunc) bool {
	if t.mode.locked(key) {
		return false
	}
	s, known := t.mode.peek(key, o, scratch)
	if !known {
		return false
	}
	next, changed := change(s)
	if changed == session.Unchanged {
		return true
	}
	return t.mode.tryWrite(write{key: key, options: o, old: s, next: next, change: changed})
}

// updateLocked does an update while the key is locked. It returns what is closed
// when the change is in the store, nil if nobody is to wait for that.
func (t *Table) updateLocked(scratch *session.Session, ctx context.Context, key string, o readOptions, change updateFunc) (done <-chan struct{}, err error) {
	lock, err := t.mode.lock(ctx, key)
	if err != nil {
		return nil, t.cachedFallback(scratch, key, o, change, err)
	}
	defer t.mode.unlock(key, lock)
	for range attempts {
		s, err := t.mode.read(ctx, key, lock, o, scratch)
		if err != nil {
			return nil, t.countNewer(err)
		}
		next, changed := change(s)
		if changed == session.Unchanged {
			return nil, nil
		}
		w := write{key: key, lock: lock, options: o, old: s, next: next, change: changed}
		result, err := t.mode.write(ctx, w)
		if err != nil || !result.conflict {
			return result.done, err
		}
	}
	return nil, ErrContended
}

// cachedFallback answers an update from the cache, if it changes nothing, where
// the lock of the key could not be had in time: the holder of the lock has changed
// nothing yet. Otherwise it returns err.
func (t *Table) cachedFallback(scratch *session.Session, key string, o readOptions, change updateFunc, err error) error {
	if s, known := t.mode.peek(key, o, scratch); known {
		if _, changed := change(s); changed <= session.CacheOnly {
			return nil
		}
	}
	return err
}

// countNewer counts sessions that cannot be read because a later version has
// written them, and returns err.
func (t *Table) countNewer(err error) error {
	if errors.Is(err, session.ErrNewer) && t.newer.Add(1) == 1 && t.onNewer != nil {
		t.onNewer()
	}
	return err
}

func (t *Table) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.deadline == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.deadline)
}
