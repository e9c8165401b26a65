package sessionstate

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Table is the sessions of one store, with a cache of bounded size before it. It
// is safe for concurrent use.
type Table struct {
	store Store
	mode  mode
	can   *abilities

	steady Steady
	starts starts
	lags   lagTable
	// deadline is [Options.Deadline]; 0 for a resident store.
	deadline time.Duration
	capacity atomic.Int64

	onNewer func()
	newer   atomic.Uint64
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
	// Reproducible: the same requests get the same decisions in every process, because
	// where keys are hashed into memory of a fixed size, the hash has no secret seed.
	// It is for recorded requests: whoever knows the hash can have a user's start
	// limit and clock readings forgotten.
	Reproducible bool
	// OnNewer, if not nil, is called the first time that a session cannot be read
	// because a later version has written it.
	OnNewer func()
	// Observe, if not nil, is told of each call of a store that is not resident.
	Observe Observer
}

// NewTable makes a table over a store. The caller must call Close.
func NewTable(store Store, o Options) *Table {
	t := &Table{store: store, can: abilitiesOf(store), deadline: o.Deadline, onNewer: o.OnNewer}
	if _, ok := store.(Resident); ok {
		t.deadline = 0
	} else if o.Observe != nil {
		t.store = &observed{store, o.Observe}
	}
	t.lags.hash.fixed, t.starts.hash.fixed = o.Reproducible, o.Reproducible
	t.mode = newMode(store, t.store, t.can, &o)
	t.Configure(o.Settings)
	return t
}

// Configure changes the settings.
func (t *Table) Configure(s Settings) {
	t.capacity.Store(int64(s.Capacity))
	t.can.configure(s)
	t.mode.configure(s)
}

// Len returns how many sessions are in memory, including keys that are known to
// have none.
func (t *Table) Len() int { return t.mode.len() }

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
	return t.update(ctx, key, readOptionsOf(r), func(s *session.Session) (*session.Session, session.Change) {
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
	done := t.tryUpdate(&scratch.session, key, readOptionsOf(r), change)
	if !done && r.Lags != nil {
		// Apply comes next. To it, its own messages must not look like a request
		// before them.
		t.lags.restore(key, r.Lags)
	}
	return done
}

// View calls look with what is known of a key, nil for nothing. It keeps nothing
// of it, and may do so more than once.
func (t *Table) View(ctx context.Context, key string, look func(*session.Session)) error {
	return t.update(ctx, key, readOptions{}, func(s *session.Session) (*session.Session, session.Change) {
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
	return t.tryUpdate(&scratch.session, key, readOptions{}, change)
}

// Release frees the start mark of session id of a key if message m carries it.
func (t *Table) Release(ctx context.Context, key string, m session.MessageID, id int64) error {
	return t.update(ctx, key, readOptions{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
		if next := session.Release(s, m, id); next != s {
			return next, session.Write
		}
		return s, session.Unchanged
	})
}

// Current returns the id of a key's session at time now, or 0 if there is none.
func (t *Table) Current(ctx context.Context, key string, now int64, p *session.Policy) (id int64, err error) {
	err = t.update(ctx, key, readOptions{fresh: true}, func(s *session.Session) (*session.Session, session.Change) {
		id = session.Current(s, now, p)
		return s, session.Unchanged
	})
	return id, err
}

// Close writes what waits to be written, and closes the store.
func (t *Table) Close() error {
	err := t.mode.close()
	if closing := t.store.Close(); err == nil {
		err = closing
	}
	return err
}
