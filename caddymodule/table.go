package caddymodule

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// tables has the tables that live in this process, by the identity of their
// stores. A configuration that is loaded finds the table of the one before it.
var tables = caddy.NewUsagePool()

// storeDeadline bounds how long a request waits for a store, each time it asks.
const storeDeadline = time.Second

// table is a session table, opened when it is first needed.
type table struct {
	opened atomic.Pointer[sessionstate.Table]

	mu sync.Mutex
	// capacities has what each live configuration wants. The largest holds: a
	// configuration that fails to start cannot shrink what runs, and one that
	// succeeds shrinks it when the one before it stops.
	capacities map[*App]int
}

// open returns the session table, opening it if need be.
func (t *table) open(app *App) (*sessionstate.Table, error) {
	if opened := t.opened.Load(); opened != nil {
		return opened, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if opened := t.opened.Load(); opened != nil {
		return opened, nil
	}
	store, err := app.store.Open(app.logger)
	if err != nil {
		return nil, err
	}
	opened := sessionstate.NewTable(store, t.capacity(app.capacity), storeDeadline)
	t.opened.Store(opened)
	return opened, nil
}

func (t *table) capacity(atLeast int) int {
	for _, n := range t.capacities {
		atLeast = max(atLeast, n)
	}
	return atLeast
}

// hold makes the table as large as the app wants it, for as long as the app
// holds it so.
func (t *table) hold(app *App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.capacities[app] = app.capacity
	t.resize()
}

func (t *table) drop(app *App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, held := t.capacities[app]; held {
		delete(t.capacities, app)
		t.resize()
	}
}

func (t *table) resize() {
	if opened := t.opened.Load(); opened != nil && len(t.capacities) > 0 {
		opened.Resize(t.capacity(0))
	}
}

// Destruct closes the table. The pool calls it when nobody uses it any more.
func (t *table) Destruct() error {
	if opened := t.opened.Swap(nil); opened != nil {
		return opened.Close()
	}
	return nil
}
