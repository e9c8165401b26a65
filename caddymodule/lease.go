package caddymodule

import (
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// sharedTables has the tables that live in this process, by the identity of their
// stores. A configuration that is loaded finds the table of the one before it.
//
// The life of a table, and who sees to it:
//
//   - [App.Provision] takes a lease: the pool makes the table, or counts one more
//     user of it. Nothing is opened.
//   - [App.Start] opens it, if need be, and adds the configuration's settings.
//   - Requests enter it and leave it, by [App.enter] and [App.leave].
//   - [App.Stop] takes the configuration's settings away again.
//   - [App.Cleanup] retires the lease: the last request that leaves gives the table
//     back to the pool. A later one takes it, and opens it, anew.
//   - When no configuration has it any more, the pool calls [sharedTable.Destruct],
//     which closes it.
var sharedTables = caddy.NewUsagePool()

// lease is a configuration's share in a table. Caddy cleans a configuration up
// while its requests are still running, and requests may even arrive at it
// later: the table is given back by the last of them, and taken again for those.
type lease struct {
	identity string
	logger   *zap.Logger

	mu sync.Mutex
	// table is nil while it is given back.
	table *sharedTable
	// entered is how many are in the table.
	entered int
	retired bool
}

func newLease(identity string, logger *zap.Logger) (*lease, error) {
	l := &lease{identity: identity, logger: logger}
	return l, l.take()
}

func (l *lease) take() error {
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
		if err := l.take(); err != nil {
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
	l.giveBack()
}

// retire gives the table back as soon as nobody is in it.
func (l *lease) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
	l.giveBack()
}

func (l *lease) giveBack() {
	if !l.retired || l.entered > 0 || l.table == nil {
		return
	}
	l.table = nil
	if _, err := sharedTables.Delete(l.identity); err != nil {
		l.logger.Error("closing the session store", zap.Error(err))
	}
}
