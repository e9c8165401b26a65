package caddymodule

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// tables has the tables that live in this process, by the identity of their
// stores. A configuration that is loaded finds the table of the one before it.
var tables = caddy.NewUsagePool()

// storeDeadline bounds every call of a store.
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

// lease is a configuration's share in a table. Caddy cleans a configuration up
// while its requests are still running, and requests may even arrive at it
// later: the table is given back by the last of them, and taken again for those.
type lease struct {
	identity string
	logger   *zap.Logger

	mu      sync.Mutex
	table   *table
	users   int
	retired bool
}

func newLease(identity string, logger *zap.Logger) (*lease, error) {
	l := &lease{identity: identity, logger: logger}
	return l, l.take()
}

func (l *lease) take() error {
	v, _, err := tables.LoadOrNew(l.identity, func() (caddy.Destructor, error) {
		return &table{capacities: map[*App]int{}}, nil
	})
	if err != nil {
		return err
	}
	l.table = v.(*table)
	return nil
}

// enter returns the table and keeps it until leave is called.
func (l *lease) enter() (*table, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table == nil {
		if err := l.take(); err != nil {
			return nil, err
		}
	}
	l.users++
	return l.table, nil
}

func (l *lease) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users--
	l.give()
}

// retire gives the table back as soon as nobody is in it.
func (l *lease) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
	l.give()
}

func (l *lease) give() {
	if !l.retired || l.users > 0 || l.table == nil {
		return
	}
	l.table = nil
	if _, err := tables.Delete(l.identity); err != nil {
		l.logger.Error("closing the session store", zap.Error(err))
	}
}
