package sessionstate

import (
	"context"
	"time"
)

// Table is the sessions of one store, with a cache of bounded size in front of
// it. It is safe for concurrent use.
type Table struct {
	store Store
	// cache is nil where the store is resident, and where nothing that is read
	// from it may be kept. What is cached of a key is changed only by who holds
	// its lock, or removed.
	cache *Cache
	// behind has what is to be written later; nil where cache is.
	behind   *writeBehind
	resident Resident
	shared   bool
	locks    keyLocks
	deadline time.Duration
}

// Settings are what may change while a table is used.
type Settings struct {
	// Capacity bounds the sessions in memory: those of the cache or, where the
	// store is [Resident], all.
	Capacity int
	// Retention is that of a [Forgetful] store, in milliseconds.
	Retention int64
	// FlushInterval is how long changes wait that need not survive a crash.
	FlushInterval time.Duration
}

// Options are what a table is made with.
type Options struct {
	Settings
	// Deadline bounds how long one call of the table waits for a store that is
	// not resident; 0 does not.
	Deadline time.Duration
	// Report, if not nil, is told what each delayed write came to.
	Report func(error)
}

// attempts bounds how often a change is tried again after others changed the
// same session. Somebody succeeds each time, so it takes as many concurrent
// requests of one user to reach it.
const attempts = 100

// absent is what is cached of a key that the store has nothing of.
var absent = new(Session)

// NewTable makes a table over a store.
func NewTable(store Store, o Options) *Table {
	t := &Table{store: store, deadline: o.Deadline}
	t.locks.init()
	t.resident, _ = store.(Resident)
	shared, isShared := store.(Shared)
	t.shared = isShared
	if t.resident == nil {
		t.cache = NewCache(o.Capacity)
		t.behind = &writeBehind{
			store: store, shared: isShared, lost: t.changed, report: o.Report, interval: o.FlushInterval,
		}
	}
	// From here on t.changed and t.lost may be called.
	if isShared && !shared.Watch(t.changed, t.lost) {
		t.cache, t.behind = nil, nil
	}
	if t.behind != nil {
		t.behind.start()
	}
	t.Configure(o.Settings)
	return t
}

// Configure changes the settings.
func (t *Table) Configure(s Settings) {
	if forgetful, ok := t.store.(Forgetful); ok {
		forgetful.Retain(s.Retention)
	}
	switch {
	case t.resident != nil:
		t.resident.Resize(s.Capacity)
	case t.cache != nil:
		t.cache.Resize(s.Capacity)
		t.behind.setInterval(s.FlushInterval)
	}
}

// Len returns how many sessions are in memory, keys included that are known to
// have none.
func (t *Table) Len() int {
	switch {
	case t.resident != nil:
		return t.resident.Len()
	case t.cache != nil:
		return t.cache.Len()
	}
	return 0
}

// Apply runs [Transition] for the messages of one key and stores what changed;
// decisions must be as long as events. If it returns an error nothing was
// changed and decisions mean nothing. The key may be a part of a longer string:
// what is kept of it is copied.
func (t *Table) Apply(ctx context.Context, key string, now int64, p *Policy, events []Event, decisions []Decision) error {
	return t.update(ctx, key, askFor(p, events), func(s *Session) (*Session, Change) {
		return Transition(s, now, p, events, decisions)
	})
}

// ApplyNow does what [Table.Apply] does, if it need not wait for a store, and
// reports whether it did.
func (t *Table) ApplyNow(key string, now int64, p *Policy, events []Event, decisions []Decision) bool {
	change := func(s *Session) (*Session, Change) { return Transition(s, now, p, events, decisions) }
	if t.resident != nil {
		return t.update(context.Background(), key, ask{}, change) == nil
	}
	return t.now(key, askFor(p, events), change)
}

// Release frees the start mark of session id of a key if message m carries it.
func (t *Table) Release(ctx context.Context, key string, m MessageID, id int64) error {
	return t.update(ctx, key, ask{fresh: true}, func(s *Session) (*Session, Change) {
		if next := Release(s, m, id); next != s {
			return next, Changed
		}
		return s, Unchanged
	})
}

// Current returns the id of a key's session at time now, or 0 if there is none.
func (t *Table) Current(ctx context.Context, key string, now int64, p *Policy) (id int64, err error) {
	err = t.update(ctx, key, ask{fresh: true}, func(s *Session) (*Session, Change) {
		id = Current(s, now, p)
		return s, Unchanged
	})
	return id, err
}

// ask is how much is asked of an update.
type ask struct {
	// fresh: what others have done to a shared store is to be seen even if it
	// happened this moment.
	fresh bool
	// patience is how long it may take until others know that a session lasts
	// longer. They need to when its timeout has passed, which takes much longer.
	patience time.Duration
}

func askFor(p *Policy, events []Event) ask {
	a := ask{patience: min(time.Duration(p.Timeout)*time.Millisecond/8, maxPatience)}
	for i := range events {
		a.fresh = a.fresh || events[i].Kind.Control()
	}
	return a
}

// maxPatience bounds how much a crash can make a session seem shorter than it
// was.
const maxPatience = 10 * time.Second

// now does an update if nothing is to be written for what is cached, or it may
// be later: it waits for nobody.
func (t *Table) now(key string, a ask, change func(*Session) (*Session, Change)) bool {
	if t.cache == nil || a.fresh && t.shared {
		return false
	}
	cached := t.cache.Get(key)
	if cached == nil {
		return false
	}
	next, changed := change(cached.orNil())
	return changed == Unchanged || t.delays(changed) && t.delayIdle(key, a, cached, next)
}

// update asks change what becomes of a key's session until that could be
// written, or nothing is to be.
func (t *Table) update(ctx context.Context, key string, a ask, change func(*Session) (*Session, Change)) error {
	if t.now(key, a, change) {
		return nil
	}
	var lock *keyLock
	if t.resident == nil {
		var cancel context.CancelFunc
		ctx, cancel = t.bounded(ctx)
		defer cancel()
		var err error
		if lock, err = t.locks.lock(ctx, key); err != nil {
			return err
		}
		defer t.locks.unlock(key, lock)
	}
	for range attempts {
		s, err := t.get(ctx, key, lock, a.fresh && t.shared)
		if err != nil {
			return err
		}
		next, changed := change(s)
		if changed == Unchanged {
			return nil
		}
		if t.delays(changed) {
			return t.delay(key, lock, a, s, next)
		}
		ok, err := t.swap(ctx, key, lock, s, next)
		if ok || err != nil {
			return err
		}
	}
	return ErrContended
}

// orNil returns the session, or nil if it stands for none.
func (s *Session) orNil() *Session {
	if s == absent {
		return nil
	}
	return s
}

// delays reports whether a change may be written later. In a store of the
// table's own all may but control calls, which must survive a crash; in a
// shared one others must know of all but how long a session lasts.
func (t *Table) delays(changed Change) bool {
	return t.behind != nil && (changed == Touched || changed == Changed && !t.shared)
}

func (t *Table) get(ctx context.Context, key string, lock *keyLock, fresh bool) (*Session, error) {
	if t.cache == nil {
		return t.store.Get(ctx, key)
	}
	if s := t.cache.Get(key); s != nil && !fresh {
		return s.orNil(), nil
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
func (t *Table) keep(key string, lock *keyLock, s *Session) {
	t.cache.Put(key, s)
	if lock.stale.Load() {
		t.cache.Remove(key)
	}
}

// delay has a locked key's new session written later.
func (t *Table) delay(key string, lock *keyLock, a ask, s, next *Session) error {
	if err := t.behind.put(key, s.version(), next, t.due(a)); err != nil {
		return err
	}
	t.keep(key, lock, next)
	if lock.stale.Load() {
		t.behind.drop(key)
	}
	return nil
}

// delayIdle does so if nobody has the key locked, and what is cached of it is
// what next was made from. Others can tell of a change meanwhile: that is seen
// when next is written.
func (t *Table) delayIdle(key string, a ask, cached, next *Session) bool {
	return t.locks.idle(key, func() bool {
		if t.cache.Get(key) != cached || t.behind.put(key, cached.version(), next, t.due(a)) != nil {
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

func (t *Table) swap(ctx context.Context, key string, lock *keyLock, s, next *Session) (bool, error) {
	change := [1]Swap{{Key: key, Old: s.version(), Next: next}}
	if t.cache == nil {
		t.store.CompareAndSwap(ctx, change[:])
		return change[0].Done, change[0].Err
	}
	if !t.shared && t.behind.full(key) {
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
		t.undo(key, s, next)
	default:
		t.cache.Remove(key)
		err = t.behind.rebase(ctx, key)
	}
	return done, err
}

// undo has a session of the table's own store written again after a change that
// failed: it may have been written all the same, or be so yet, and whoever
// asked for it is told that nothing has changed.
func (t *Table) undo(key string, s, next *Session) {
	again := &Session{Seen: next.Seen}
	if s != nil {
		same := *s
		again = &same
	}
	again.Version = next.Version + 1
	if t.behind.put(key, next.Version, again, 0) != nil {
		t.cache.Remove(key)
		return
	}
	t.cache.Put(key, again)
}

func (s *Session) version() uint64 {
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

// Close writes what waits to be written, and closes the store.
func (t *Table) Close() error {
	var err error
	if t.behind != nil {
		err = t.behind.close()
	}
	if closing := t.store.Close(); err == nil {
		err = closing
	}
	return err
}

func (t *Table) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.deadline == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.deadline)
}
