package sessionstate

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Table reads and writes the sessions of a store through a cache of limited size. It is
// safe for concurrent use.
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

// Settings are the options that can be changed while a table is in use.
type Settings struct {
	// Capacity is the maximum number of sessions in memory: in the cache or, if the
	// store is [Resident], in the store.
	Capacity int
	// Retention is the retention of a [Forgetful] store, in milliseconds.
	Retention int64
	// MaxStored is the maximum number of sessions in a [Bounded] store; 0 for none.
	MaxStored int64
	// FlushInterval is how long changes that need not survive a crash are collected
	// before they are written together.
	FlushInterval time.Duration
}

// Options are the options of a table.
type Options struct {
	Settings
	// Deadline limits how long a call of the table waits for a store that is not
	// resident; 0 is no limit.
	Deadline time.Duration
	// Report, if not nil, is called with the result of each delayed write.
	Report func(error)
	// WriteFirst concerns stores that only this process changes. If it is set, changes
	// are in the store when [Table.Apply] returns, except a change that only extends a
	// session, and except while the store accepts no writes. All others are written
	// within FlushInterval.
	WriteFirst bool
	// Reproducible: the same requests get the same decisions in every process. To that
	// end the hash that places keys in memory of a fixed size has no secret seed. It is
	// for recorded requests only: a client that can compute the hash can make the table
	// forget another user's start limit and lags.
	Reproducible bool
	// OnNewer, if not nil, is called the first time that a session cannot be read
	// because a later release has written it.
	OnNewer func()
	// Observe, if not nil, is called after each call of a store that is not resident.
	Observe Observer
}

// NewTable makes a table of a store. The caller must call Close.
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

// Apply runs [session.Transition] for the messages of one key and stores the new
// session. decisions must be as long as r.Events. Apply ignores r.Lags and uses the
// table's. If it returns an error, nothing was changed and decisions are meaningless.
// It copies what it keeps of key, which may be a part of a longer string.
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

// Scratch is memory for calls of [Table.ApplyNow], to be reused for the next call.
type Scratch struct {
	session session.Session
	lags    session.Lags
}

// ApplyNow does what [Table.Apply] does if that need not wait for a store, and reports
// whether it did. It keeps none of its arguments.
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
		// The caller calls Apply next, which must not see these messages as an earlier
		// request.
		t.lags.restore(key, r.Lags)
	}
	return done
}

// View calls look with the session of a key, nil for none, possibly several times. look
// must not keep the session.
func (t *Table) View(ctx context.Context, key string, look func(*session.Session)) error {
	return t.update(ctx, key, readOptions{}, func(s *session.Session) (*session.Session, session.Change) {
		look(s)
		return s, session.Unchanged
	})
}

// ViewNow does what [Table.View] does if that need not wait for a store, and reports
// whether it did.
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

// Close writes pending changes and closes the store.
func (t *Table) Close() error {
	err := t.mode.close()
	if closing := t.store.Close(); err == nil {
		err = closing
	}
	return err
}
