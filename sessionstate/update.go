package sessionstate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// ask is how much is asked of an update.
type ask struct {
	// fresh: what others have done to a shared store is to be seen even if it
	// happened this moment.
	fresh bool
	// patience is how long it may take until others know that a session lasts
	// longer. They need to when its timeout has passed, which takes much longer.
	patience time.Duration
}

func askFor(r *session.Request) ask {
	a := ask{patience: min(time.Duration(r.Policy.Timeout)*time.Millisecond/8, maxPatience)}
	for i := range r.Events {
		a.fresh = a.fresh || r.Events[i].Kind.Control()
	}
	return a
}

// scratches are sessions to read the cache into. What is read is gone when the
// update has ended: a change keeps nothing of it.
var scratches = sync.Pool{New: func() any { return &session.Session{Segments: make([]session.Segment, 0, session.MaxSegments)} }}

// maxPatience bounds how much a crash can make a session seem shorter than it
// was.
const maxPatience = 10 * time.Second

// now does an update if nothing is to be written for what is cached, or it may
// be later: it waits for nobody. Where somebody has the key locked, what is
// cached may be about to change: that is worth to be waited for.
func (t *Table) now(key string, a ask, scratch *session.Session, change func(*session.Session) (*session.Session, session.Change)) bool {
	if t.cache == nil || a.fresh && t.shared || t.locks.locked(key) {
		return false
	}
	cached := t.cache.Load(key, scratch)
	if cached == nil {
		return false
	}
	next, changed := change(orNil(cached))
	switch {
	case changed == session.Unchanged:
		return true
	case changed == session.CacheOnly:
		t.note(key, versionOf(cached), next)
		return true
	case cached == absent && t.limited != nil && t.limited.Full():
		return false // the store is to say so
	}
	return t.delays(changed) && !t.urgent(changed) && t.delayIdle(key, a, versionOf(cached), next)
}

// urgent reports whether a change that [Table.delays] lets be written later is to
// be written before it is told to anybody, if the store takes it.
func (t *Table) urgent(changed session.Change) bool { return t.writeFirst && changed == session.Write }

// update asks change what becomes of a key's session until that could be
// written, or nothing is to be.
func (t *Table) update(ctx context.Context, key string, a ask, change func(*session.Session) (*session.Session, session.Change)) error {
	scratch := scratches.Get().(*session.Session)
	defer scratches.Put(scratch)
	return t.updateIn(scratch, ctx, key, a, change)
}

func (t *Table) updateIn(scratch *session.Session, ctx context.Context, key string, a ask, change func(*session.Session) (*session.Session, session.Change)) error {
	if t.now(key, a, scratch, change) {
		return nil
	}
	if t.resident != nil {
		_, err := t.updateLocked(scratch, ctx, key, nil, a, change)
		return err
	}
	bounded, cancel := t.bounded(ctx)
	defer cancel()
	written, err := t.updateAlone(scratch, bounded, key, a, change)
	// Nobody else has to wait for the key meanwhile.
	t.awaitWrite(bounded, written)
	return err
}

// updateAlone does an update while the key is locked.
func (t *Table) updateAlone(scratch *session.Session, ctx context.Context, key string, a ask, change func(*session.Session) (*session.Session, session.Change)) (written <-chan struct{}, err error) {
	lock, err := t.locks.lock(ctx, key)
	if err != nil {
		return nil, t.meanwhile(key, a, scratch, change, err)
	}
	defer t.locks.unlock(key, lock)
	return t.updateLocked(scratch, ctx, key, lock, a, change)
}

// updateLocked returns what is closed when the change is in the store, if that is
// to be waited for.
func (t *Table) updateLocked(scratch *session.Session, ctx context.Context, key string, lock *keyLock, a ask, change func(*session.Session) (*session.Session, session.Change)) (written <-chan struct{}, err error) {
	for range attempts {
		s, err := t.get(ctx, key, lock, a.fresh && t.shared, scratch)
		if err != nil {
			return nil, t.unread(err)
		}
		next, changed := change(s)
		switch {
		case changed == session.Unchanged:
			return nil, nil
		case changed == session.CacheOnly && t.resident != nil:
			next.Version++
		case changed == session.CacheOnly:
			if t.cache != nil {
				t.keep(key, lock, next)
			}
			return nil, nil
		}
		if s == nil && t.limited != nil && t.limited.Full() {
			return nil, ErrFull
		}
		if t.delays(changed) {
			written, err := t.delay(ctx, key, lock, a, s, next, changed)
			if changed > session.Prompt || !errors.Is(err, errTooManyDelayed) {
				return written, err
			}
			if !t.shared {
				// It has not happened for the store, and costs nobody a session.
				next.Version = versionOf(s)
				t.keep(key, lock, next)
				return nil, nil
			}
		}
		ok, err := t.swap(ctx, key, lock, s, next)
		if err != nil && changed == session.Prompt && t.behind != nil {
			// Others are to know it now, but it is no reason to give up an event.
			return t.delay(ctx, key, lock, a, s, next, changed)
		}
		if ok || err != nil {
			return nil, err
		}
	}
	return nil, ErrContended
}

// unread notes sessions that a later version has written.
func (t *Table) unread(err error) error {
	if errors.Is(err, session.ErrNewer) && t.newer.Add(1) == 1 && t.onNewer != nil {
		t.onNewer()
	}
	return err
}

// meanwhile does an update that changes nothing by what is cached, where a call
// before it was waited for in vain: it has changed nothing yet.
func (t *Table) meanwhile(key string, a ask, scratch *session.Session, change func(*session.Session) (*session.Session, session.Change), err error) error {
	if t.cache == nil || a.fresh && t.shared {
		return err
	}
	if cached := t.cache.Load(key, scratch); cached != nil {
		if _, changed := change(orNil(cached)); changed <= session.CacheOnly {
			return nil
		}
	}
	return err
}

// note caches what a session is now if nobody has the key locked, and what is
// cached of it is what next was made from. Else it is lost.
func (t *Table) note(key string, cached session.Version, next *session.Session) {
	t.locks.idle(key, func() bool {
		version, known := t.cache.Version(key)
		if known && version == cached {
			t.cache.Put(key, next)
		}
		return true
	})
}

// orNil returns the session, or nil if it stands for none.
func orNil(s *session.Session) *session.Session {
	if s == absent {
		return nil
	}
	return s
}

// delays reports whether a change may be written later. In a store of the
// table's own all may but control calls, which must survive a crash; in a
// shared one others must know of all but how long a session lasts.
func (t *Table) delays(changed session.Change) bool {
	return t.behind != nil && (changed == session.Deferred || changed < session.WriteThrough && !t.shared)
}

func (t *Table) get(ctx context.Context, key string, lock *keyLock, fresh bool, scratch *session.Session) (*session.Session, error) {
	if t.resident != nil {
		return t.resident.Load(key, scratch), nil
	}
	if t.cache == nil {
		return t.store.Get(ctx, key)
	}
	if s := t.cache.Load(key, scratch); s != nil && !fresh {
		return orNil(s), nil
	}
	if t.shared {
		if _, err := t.behind.hold(ctx, key, 0); err != nil {
			return nil, err
		}
	} else if s := t.behind.get(key); s != nil {
		t.keep(key, lock, s)
		return s, nil
	}
	s, err := t.store.Get(ctx, key)
	if t.shared {
		s = t.behind.over(key, s, err)
	}
	switch {
	case err != nil:
	case s == nil:
		t.keep(key, lock, absent)
	default:
		t.keep(key, lock, s)
	}
	return s, err
}

// keep caches what is known of a locked key, unless others changed it since.
func (t *Table) keep(key string, lock *keyLock, s *session.Session) {
	t.cache.Put(key, s)
	if lock.stale.Load() {
		t.cache.Remove(key)
	}
}

// delay has a locked key's new session written later. It returns what put does.
func (t *Table) delay(ctx context.Context, key string, lock *keyLock, a ask, s, next *session.Session, changed session.Change) (written <-chan struct{}, err error) {
	of := origin{source: SourceOf(ctx), class: classOf(versionOf(s)), urgent: t.urgent(changed)}
	if written, err = t.behind.put(key, versionOf(s), next, t.due(a), of); err != nil {
		return nil, err
	}
	t.keep(key, lock, next)
	if lock.stale.Load() {
		t.behind.drop(key)
	}
	return written, nil
}

// delayIdle does so if nobody has the key locked, and what is cached of it is
// what next was made from. Others can tell of a change meanwhile: that is seen
// when next is written.
func (t *Table) delayIdle(key string, a ask, cached session.Version, next *session.Session) bool {
	return t.locks.idle(key, func() bool {
		version, known := t.cache.Version(key)
		if !known || version != cached {
			return false
		}
		// A change that may be made so is one of a source that nobody asked for.
		if _, err := t.behind.put(key, cached, next, t.due(a), origin{class: classOf(cached)}); err != nil {
			return false
		}
		t.cache.Put(key, next)
		return true
	})
}

// due is how long a change may wait to be written.
func (t *Table) due(a ask) time.Duration {
	if t.shared {
		return a.patience
	}
	return 0
}

func (t *Table) swap(ctx context.Context, key string, lock *keyLock, s, next *session.Session) (bool, error) {
	change := [1]Swap{{Key: key, Old: versionOf(s), Next: next}}
	if t.cache == nil {
		t.store.CompareAndSwap(ctx, change[:])
		return change[0].Done, change[0].Err
	}
	if !t.shared && t.behind.full(key, SourceOf(ctx)) {
		return false, errTooManyDelayed
	}
	var err error
	if change[0].Old, err = t.behind.hold(ctx, key, change[0].Old); err != nil {
		return false, err
	}
	t.store.CompareAndSwap(ctx, change[:])
	done, err := change[0].Done, change[0].Err
	switch {
	case done:
		t.behind.settle(key, true)
		t.keep(key, lock, next)
	case t.shared:
		// Others came first, or it is not known what the store has.
		t.behind.settle(key, err == nil)
		t.cache.Remove(key)
	case err != nil:
		t.behind.settle(key, false)
		t.undo(ctx, key, s, next)
	default:
		t.cache.Remove(key)
		err = t.behind.rebase(ctx, key)
	}
	return done, err
}

// undo has a session of the table's own store written again after a change that
// failed: it may have been written all the same, or be so yet, and whoever
// asked for it is told that nothing has changed.
func (t *Table) undo(ctx context.Context, key string, s, next *session.Session) {
	again := &session.Session{Seen: next.Seen}
	if s != nil {
		again = s.Clone()
	}
	again.Version = next.Version + 1
	of := origin{source: SourceOf(ctx), class: ofControl}
	if _, err := t.behind.put(key, next.Version, again, 0, of); err != nil {
		t.cache.Remove(key)
		return
	}
	t.cache.Put(key, again)
}

func versionOf(s *session.Session) session.Version {
	if s == nil {
		return 0
	}
	return s.Version
}

// changed forgets what is known of a key that others have changed.
func (t *Table) changed(key string) {
	if t.cache == nil {
		return
	}
	// Who locks the key between the two finds nothing cached; who had it locked
	// before is told not to cache what he has read.
	t.cache.Remove(key)
	t.locks.spoil(key)
	t.cache.Remove(key)
	t.behind.drop(key)
}

// lost forgets all: what others did may have been missed.
func (t *Table) lost() {
	if t.cache == nil {
		return
	}
	t.cache.Clear()
	t.locks.spoilAll()
	t.cache.Clear()
}

func (t *Table) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.deadline == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.deadline)
}
