package caddymodule

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
)

// storeDeadline bounds how long a request waits for a store, each time it asks.
const storeDeadline = time.Second

// defaultFlushInterval is how long changes wait that need not survive a crash.
const defaultFlushInterval = 100 * time.Millisecond

// sharedTable is the session table of all configurations whose stores are the same
// resource. It is opened when it is first needed.
type sharedTable struct {
	opened   atomic.Pointer[sessionstate.Table]
	activity activity

	mu sync.Mutex
	// wanted has what each live configuration wants. The largest table that
	// forgets last and writes soonest serves all: a configuration that fails to
	// start cannot take from what runs, and what one that succeeds does not want
	// goes when the one before it stops.
	wanted map[*App]sessionstate.Settings
}

func newSharedTable() *sharedTable {
	return &sharedTable{wanted: map[*App]sessionstate.Settings{}}
}

// open opens the session table, if need be.
func (t *sharedTable) open(app *App) error {
	if t.opened.Load() != nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.opened.Load() != nil {
		return nil
	}
	store, err := app.store.Open(app.logger)
	if err != nil {
		return err
	}
	opened := sessionstate.NewTable(store, sessionstate.Options{
		Settings:   enoughForAll(append(slices.Collect(maps.Values(t.wanted)), app.settings)...),
		Deadline:   storeDeadline,
		Report:     reportWrites(app.logger),
		Observe:    observeStore(app.TableName()),
		WriteFirst: true,
		OnNewer: func() {
			app.logger.Error("sessions that a newer version of this module has written are left as they are: their control calls are refused, and their events come under on_store_error")
		},
	})
	t.opened.Store(opened)
	return nil
}

// sessions returns the session table, for who has entered this one.
func (t *sharedTable) sessions() *sessionstate.Table { return t.opened.Load() }

// arrive sets when a request arrived: by the clock that the table goes by. Where
// that has just jumped ahead nothing is forgotten by age.
func (t *sharedTable) arrive(request *enrich.Request, local time.Time) {
	received, steady := t.sessions().Arrival(local)
	request.Received = received
	if !steady && request.Policy.Retention > 0 {
		policy := *request.Policy
		policy.Retention = 0
		request.Policy = &policy
	}
}

// now returns the moment by the clock that the table goes by, in Unix milliseconds.
func (t *sharedTable) now() int64 {
	ms, _ := t.sessions().Arrival(time.Now())
	return ms
}

// add has the table serve what a configuration wants, too.
func (t *sharedTable) add(app *App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted[app] = app.settings
	t.configure()
}

// remove ends that, if it was so.
func (t *sharedTable) remove(app *App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.wanted[app]; there {
		delete(t.wanted, app)
		t.configure()
	}
}

// anyApp returns a configuration that uses the table, nil if none does.
func (t *sharedTable) anyApp() *App {
	t.mu.Lock()
	defer t.mu.Unlock()
	for app := range t.wanted {
		return app
	}
	return nil
}

// configure gives the open table what all configurations want. With none left it
// keeps what it has.
func (t *sharedTable) configure() {
	if opened := t.opened.Load(); opened != nil && len(t.wanted) > 0 {
		opened.Configure(enoughForAll(slices.Collect(maps.Values(t.wanted))...))
	}
}

// enoughForAll returns the settings of a table that is large, remembers long and
// writes soon enough for everybody.
func enoughForAll(all ...sessionstate.Settings) sessionstate.Settings {
	most := all[0]
	unbounded := most.MaxStored == 0
	for _, s := range all[1:] {
		most.Capacity = max(most.Capacity, s.Capacity)
		most.Retention = max(most.Retention, s.Retention)
		most.MaxStored = max(most.MaxStored, s.MaxStored)
		most.FlushInterval = min(most.FlushInterval, s.FlushInterval)
		unbounded = unbounded || s.MaxStored == 0
	}
	if unbounded {
		most.MaxStored = 0
	}
	return most
}

// Destruct closes the table. The pool calls it when nobody uses it any more.
func (t *sharedTable) Destruct() error {
	t.activity.close()
	if opened := t.opened.Swap(nil); opened != nil {
		return opened.Close()
	}
	return nil
}
