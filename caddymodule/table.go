package caddymodule

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
)

// tables has the tables that live in this process, by the identity of their
// stores. A configuration that is loaded finds the table of the one before it.
var tables = caddy.NewUsagePool()

// storeDeadline bounds how long a request waits for a store, each time it asks.
const storeDeadline = time.Second

// defaultFlushInterval is how long changes wait that need not survive a crash.
const defaultFlushInterval = 100 * time.Millisecond

// table is a session table, opened when it is first needed.
type table struct {
	opened   atomic.Pointer[sessionstate.Table]
	activity activity

	mu sync.Mutex
	// wanted has what each live configuration wants. The largest table that
	// forgets last and writes soonest serves all: a configuration that fails to
	// start cannot take from what runs, and what one that succeeds does not want
	// goes when the one before it stops.
	wanted map[*App]sessionstate.Settings
}

// open opens the session table, if need be.
func (t *table) open(app *App) error {
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
		Settings:   t.settings(app.settings),
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
func (t *table) sessions() *sessionstate.Table { return t.opened.Load() }

// arrive sets when a request arrived: by the clock that the table goes by. Where
// that has just jumped ahead nothing is forgotten by age.
func (t *table) arrive(request *enrich.Request, local time.Time) {
	received, steady := t.sessions().Arrival(local)
	request.Received = received
	if !steady && request.Policy.Retention > 0 {
		policy := *request.Policy
		policy.Retention = 0
		request.Policy = &policy
	}
}

// now returns the moment by the clock that the table goes by, in Unix milliseconds.
func (t *table) now() int64 {
	ms, _ := t.sessions().Arrival(time.Now())
	return ms
}

// observeStore counts the calls of a table's store.
func observeStore(name string) sessionstate.Observer {
	return func(operation, result string, took time.Duration) {
		metrics.stores.WithLabelValues(name, operation, result).Observe(took.Seconds())
	}
}

// settings returns what all want, and at least this.
func (t *table) settings(s sessionstate.Settings) sessionstate.Settings {
	unbounded := s.MaxStored == 0
	for _, want := range t.wanted {
		s.Capacity = max(s.Capacity, want.Capacity)
		s.Retention = max(s.Retention, want.Retention)
		if s.MaxStored = max(s.MaxStored, want.MaxStored); want.MaxStored == 0 {
			unbounded = true
		}
		s.FlushInterval = min(s.FlushInterval, want.FlushInterval)
	}
	if unbounded {
		s.MaxStored = 0
	}
	return s
}

// reportWrites logs when delayed writes begin to fail, and when they go well
// again.
func reportWrites(logger *zap.Logger) func(error) {
	failing := false
	return func(err error) {
		switch {
		case err != nil && !failing:
			logger.Error("writing sessions; it is tried again until it succeeds", zap.Error(err))
		case err == nil && failing:
			logger.Info("sessions are written again")
		}
		if failing = err != nil; failing {
			metrics.storeErrors.Inc()
		}
	}
}

// hold gives the table what the app wants, for as long as the app holds it so.
func (t *table) hold(app *App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted[app] = app.settings
	t.configure()
}

// user returns a configuration that uses the table, nil if none does.
func (t *table) user() *App {
	t.mu.Lock()
	defer t.mu.Unlock()
	for app := range t.wanted {
		return app
	}
	return nil
}

func (t *table) drop(app *App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, held := t.wanted[app]; held {
		delete(t.wanted, app)
		t.configure()
	}
}

func (t *table) configure() {
	opened := t.opened.Load()
	if opened == nil {
		return
	}
	for _, any := range t.wanted {
		opened.Configure(t.settings(any))
		return
	}
}

// Destruct closes the table. The pool calls it when nobody uses it any more.
func (t *table) Destruct() error {
	t.activity.close()
	if opened := t.opened.Swap(nil); opened != nil {
		return opened.Close()
	}
	return nil
}
