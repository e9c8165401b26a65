package caddymodule

import (
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// sharedTables holds the tables of this process, by the identity of their stores.
// Through it, a new configuration finds the table of the previous one.
//
// The life cycle of a table:
//
//   - [App.Provision] takes a lease: the pool makes the table, or counts one more
//     user of it. Nothing is opened.
//   - [App.Start] opens it, unless it is open, and adds the configuration's settings.
//   - Requests enter it and leave it, by [App.enter] and [App.leave].
//   - [App.Stop] removes the configuration's settings.
//   - [App.Cleanup] retires the lease: when the last request has left, the table goes
//     back to the pool. A request after that takes it from the pool again.
//   - When no lease is left, the pool calls [sharedTable.Destruct], which closes the
//     table.
var sharedTables = caddy.NewUsagePool()

// lease is a configuration's reference to a table. Caddy cleans up a configuration
// while its requests are still running, and new requests may still reach it
// afterwards. So the last running request releases the table, and a later one
// acquires it again.
type lease struct {
	identity string
	logger   *zap.Logger

	mu sync.Mutex
	// table is nil while it is released.
	table *sharedTable
	// entered counts those that have entered the table and not left it.
	entered int
	retired bool
}

func newLease(identity string, logger *zap.Logger) (*lease, error) {
	l := &lease{identity: identity, logger: logger}
	return l, l.acquire()
}

func (l *lease) acquire() error {
	v, _, err := sharedTables.LoadOrNew(l.identity, func() (caddy.Destructor, error) {
		return newSharedTable(), nil
	})
	if err != nil {
		return err
	}
	l.table = v.(*sharedTable)
	return nil
}

// enter returns the table and keeps it until leave is called.
func (l *lease) enter() (*sharedTable, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table == nil {
		if err := l.acquire(); err != nil {
			return nil, err
		}
	}
	l.entered++
	return l.table, nil
}

func (l *lease) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entered--
	l.release()
}

// retire releases the table as soon as everybody has left it.
func (l *lease) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
	l.release()
}

func (l *lease) release() {
	if !l.retired || l.entered > 0 || l.table == nil {
		return
	}
	l.table = nil
	if _, err := sharedTables.Delete(l.identity); err != nil {
		l.logger.Error("closing the session store", zap.Error(err))
	}
}
