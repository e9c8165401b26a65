package caddymodule

import (
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/sessionstate"
)

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
		return &table{wanted: map[*App]sessionstate.Settings{}}, nil
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
