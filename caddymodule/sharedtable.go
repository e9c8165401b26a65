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

// storeDeadline limits each call of a store by a request.
const storeDeadline = time.Second

// defaultFlushInterval is how long a change that need not survive a crash may wait to
// be written.
const defaultFlushInterval = 100 * time.Millisecond

// sharedTable is the session table of all configurations whose stores are the same
// resource. It is opened when it is first needed.
type sharedTable struct {
	opened   atomic.Pointer[sessionstate.Table]
	activity activity

	mu sync.Mutex
	// settings are those of each live configuration. The table uses the most generous
	// of them (see mergeSettings): so a configuration that fails to start takes nothing
	// away from the running one, and one that starts gets its smaller settings when the
	// one before it stops.
	settings map[*App]sessionstate.Settings
}

func newSharedTable() *sharedTable {
	return &sharedTable{settings: map[*App]sessionstate.Settings{}}
}

// open opens the session table unless it is open.
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
		Settings:   mergeSettings(append(slices.Collect(maps.Values(t.settings)), app.settings)...),
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

// sessions returns the session table. The caller must have entered this one.
func (t *sharedTable) sessions() *sessionstate.Table { return t.opened.Load() }

// setReceived sets when a request arrived, by the table's clock. If that clock has
// just jumped ahead, the request forgets nothing by age.
func (t *sharedTable) setReceived(request *enrich.Request, local time.Time) {
	received, steady := t.sessions().Arrival(local)
	request.Received = received
	if !steady && request.Policy.Retention > 0 {
		policy := *request.Policy
		policy.Retention = 0
		request.Policy = &policy
	}
}

// now returns the time by the table's clock, in Unix milliseconds.
func (t *sharedTable) now() int64 {
	ms, _ := t.sessions().Arrival(time.Now())
	return ms
}

// add adds the settings of a configuration.
func (t *sharedTable) add(app *App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settings[app] = app.settings
	t.configure()
}

// remove removes the settings of a configuration, if they were added.
func (t *sharedTable) remove(app *App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.settings[app]; there {
		delete(t.settings, app)
		t.configure()
	}
}

// anyApp returns a configuration that uses the table, nil if none does.
func (t *sharedTable) anyApp() *App {
	t.mu.Lock()
	defer t.mu.Unlock()
	for app := range t.settings {
		return app
	}
	return nil
}

// configure applies the merged settings to the open table. If no configuration is
// left, the table keeps its settings.
func (t *sharedTable) configure() {
	if opened := t.opened.Load(); opened != nil && len(t.settings) > 0 {
		opened.Configure(mergeSettings(slices.Collect(maps.Values(t.settings))...))
	}
}

// mergeSettings returns the largest sizes, the longest retention and the shortest
// flush interval of all.
func mergeSettings(all ...sessionstate.Settings) sessionstate.Settings {
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

// Destruct closes the table. The pool calls it when no lease is left.
func (t *sharedTable) Destruct() error {
	t.activity.close()
	if opened := t.opened.Swap(nil); opened != nil {
		return opened.Close()
	}
	return nil
}
