package sessionstate

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Table is the sessions of one store, with a cache of bounded size in front of
// it. It is safe for concurrent use.
type Table struct {
	store Store
	// plain is the store itself, where store tells of its calls.
	plain Store
	// cache is nil where the store is resident, and where nothing that is read
	// from it may be kept. What is cached of a key is changed only by who holds
	// its lock, or removed.
	cache *Cache
	// behind has what is to be written later; nil where cache is.
	behind   *writeBehind
	resident Resident
	limited  Bounded // nil if the store is not
	clock    Clocked // likewise
	steady   Steady
	shared   bool
	locks    keyLocks
	starts   starts
	lags     lagTable
	deadline time.Duration
	capacity atomic.Int64

	// writeFirst, onNewer: as Options say. newer counts the latter.
	writeFirst bool
	onNewer    func()
	newer      atomic.Uint64
}

// Settings are what may change while a table is used.
type Settings struct {
	// Capacity bounds the sessions in memory: those of the cache or, where the
	// store is [Resident], all.
	Capacity int
	// Retention is that of a [Forgetful] store, in milliseconds.
	Retention int64
	// MaxStored is the bound of a [Bounded] store; 0 for none.
	MaxStored int64
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
	// WriteFirst: in a store of the table's own all changes but how long a session
	// lasts are in the store when [Table.Apply] returns, unless it does not take
	// them: then they are written when it does. Without it they are written within
	// FlushInterval, as how long a session lasts is.
	WriteFirst bool
	// OnNewer, if not nil, is called the first time that a session cannot be read
	// because a later version has written it.
	OnNewer func()
	// Observe, if not nil, is told of each call of a store that is not resident.
	Observe Observer
}

// attempts bounds how often a change is tried again after others changed the
// same session. Somebody succeeds each time, so it takes as many concurrent
// requests of one user to reach it.
const attempts = 100

// absent is what is cached of a key that the store has nothing of.
var absent = new(session.Session)

// NewTable makes a table over a store.
func NewTable(store Store, o Options) *Table {
	t := &Table{store: store, plain: store, deadline: o.Deadline, writeFirst: o.WriteFirst, onNewer: o.OnNewer}
	t.locks.init()
	t.resident, _ = store.(Resident)
	if o.Observe != nil && t.resident == nil {
		t.store = &observed{store, o.Observe}
	}
	t.limited, _ = store.(Bounded)
	t.clock, _ = store.(Clocked)
	shared, isShared := store.(Shared)
	t.shared = isShared
	if t.resident == nil {
		t.cache = NewCache(o.Capacity)
		t.behind = &writeBehind{
			store: t.store, shared: isShared, lost: t.changed, report: o.Report, interval: o.FlushInterval,
		}
		t.behind.prepare()
	}
	if t.limited != nil && t.cache != nil {
		t.limited.Spare(t.cache.InUse)
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
	t.capacity.Store(int64(s.Capacity))
	if forgetful, ok := t.plain.(Forgetful); ok {
		forgetful.Retain(s.Retention)
	}
	if t.limited != nil {
		t.limited.Bound(s.MaxStored)
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

// Apply runs [session.Transition] for the messages of one key and stores what
// changed; decisions must be as long as r.Events, and r.Lags is the table's to
// set. If it returns an error nothing was changed and decisions mean nothing. The
// key may be a part of a longer string: what is kept of it is copied.
func (t *Table) Apply(ctx context.Context, key string, r *session.Request, decisions []session.Decision) error {
	var lags session.Lags
	applied := *r
	if t.lags.observe(key, r, &lags, false) {
		applied.Lags = &lags
	}
	return t.update(ctx, key, askFor(r), func(s *session.Session) (*session.Session, session.Change) {
		return session.Transition(s, &applied, decisions)
	})
}

// Scratch is memory that one call of [Table.ApplyNow] after the other can use.
type Scratch struct {
	session session.Session
	lags    session.Lags
}

// ApplyNow does what [Table.Apply] does, if it need not wait for a store, and
// reports whether it did. It keeps nothing of its arguments.
func (t *Table) ApplyNow(scratch *Scratch, key string, r *session.Request, decisions []session.Decision) bool {
	r.Lags = nil
	if t.lags.observe(key, r, &scratch.lags, false) {
		r.Lags = &scratch.lags
	}
	change := func(s *session.Session) (*session.Session, session.Change) {
		return session.Transition(s, r, decisions)
	}
	if t.resident != nil {
		return t.updateIn(&scratch.session, context.Background(), key, ask{}, change) == nil
	}
	return t.now(key, askFor(r), &scratch.session, change)
}

// View calls look with what is known of a key, nil for nothing. It keeps nothing
// of it, and may do so more than once.
func (t *Table) View(ctx context.Context, key string, look func(*session.Session)) error {
	return t.update(ctx, key, ask{}, func(s *session.Session) (*session.Session, session.Change) {
		look(s)
		return s, session.Unchanged
	})
}

// ViewNow does what [Table.View] does, if it need not wait for a store, and
// reports whether it did.
func (t *Table) ViewNow(scratch *Scratch, key string, look func(*session.Session)) bool {
	change := func(s *session.Session) (*session.Session, session.Change) {
		look(s)
		return s, session.Unchanged
	}
	if t.resident != nil {
		return t.updateIn(&scratch.session, context.Background(), key, ask{}, change) == nil
	}
	return t.now(key, ask{}, &scratch.session, change)
}

// Release frees the start mark of session id of a key if message m carries it.
func (t *Table) Release(ctx context.Context, key string, m session.MessageID, id int64) error {
	return t.update(ctx, key, ask{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
		if next := session.Release(s, m, id); next != s {
			return next, session.Write
		}
		return s, session.Unchanged
	})
}

// Current returns the id of a key's session at time now, or 0 if there is none.
func (t *Table) Current(ctx context.Context, key string, now int64, p *session.Policy) (id int64, err error) {
	err = t.update(ctx, key, ask{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
		id = session.Current(s, now, p)
		return s, session.Unchanged
	})
	return id, err
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
