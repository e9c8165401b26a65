package sessionstate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// readOptions say how recent the session that an update reads must be, and how late
// it may be written.
type readOptions struct {
	// fresh: read a shared store rather than the cache, so that even the most recent
	// changes by other processes are seen.
	fresh bool
	// waitBudget is how long the extension of a session may be delayed before other
	// processes see it. It is a fraction of the timeout, after which they would take
	// the session to be over.
	waitBudget time.Duration
	// noRollback: if a write fails, the caller will try again, so it need not be undone.
	noRollback bool
}

// maxWaitBudget bounds the activity that a crash can lose, and so how much shorter a
// session can seem after it.
const maxWaitBudget = 10 * time.Second

func readOptionsOf(r *session.Request) readOptions {
	o := readOptions{waitBudget: min(time.Duration(r.Policy.Timeout)*time.Millisecond/8, maxWaitBudget)}
	for i := range r.Events {
		o.fresh = o.fresh || r.Events[i].Kind.Control()
	}
	return o
}

// attempts bounds how often an update is tried again after others changed the
// same session. Each time one of the others succeeds, so it takes as many concurrent
// requests of one user to reach the bound.
const attempts = 100

// scratches are sessions to decode cache entries into. No reference to a scratch
// outlives its update.
var scratches = sync.Pool{New: func() any {
	return &session.Session{Segments: make([]session.Segment, 0, session.MaxSegments)}
}}

// updateFunc returns the session to write in place of s, which is nil if there is
// none, and how durable it has to be. It may be called several times.
type updateFunc = func(s *session.Session) (next *session.Session, change session.Change)

// update calls change with the session of a key, and writes the result. After a
// conflict it tries again with the session as it is then.
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

// tryUpdate does an update that does not wait for the store. If it returns false,
// nothing has changed.
func (t *Table) tryUpdate(scratch *session.Session, key string, o readOptions, change updateFunc) bool {
	if t.mode.waits() {
		return t.tryCached(scratch, key, o, change)
	}
	return t.updateIn(scratch, context.Background(), key, o, change) == nil
}

// tryCached does an update of the cached session if the result need not be written,
// or can be written later. It never waits. It declines if the key is locked: the
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

// updateLocked locks the key for an update. It returns a channel that is closed when
// the change is in the store, nil if the caller need not wait for that.
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

// cachedFallback is for an update that could not lock the key in time. If the update
// changes nothing that has to be written, the cached session is good enough: the
// holder of the lock has not changed it yet. Otherwise cachedFallback returns err.
func (t *Table) cachedFallback(scratch *session.Session, key string, o readOptions, change updateFunc, err error) error {
	if s, known := t.mode.peek(key, o, scratch); known {
		if _, changed := change(s); changed <= session.CacheOnly {
			return nil
		}
	}
	return err
}

// countNewer counts errors of sessions that a later version of this module wrote, in
// a format that this one cannot read. It returns err.
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
