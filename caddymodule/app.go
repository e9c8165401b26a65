package caddymodule

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/sessionstate"
)

func init() {
	caddy.RegisterModule((*App)(nil))
}

// App keeps the sessions that the `rudder_session` handlers of all sites share.
// It needs no configuration.
type App struct {
	// Where sessions are kept: `file` keeps them through restarts; `redis`, if it is
	// in the build, shares them among several Caddys; `memory` loses them when the
	// process ends. Default: `file`.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=rudder_session.stores inline_key=module"`

	// How many sessions are kept in memory at most. Beyond that, the least recently
	// used ones are evicted: the memory store forgets them, the others read them again
	// when they are needed. A session takes about 200 bytes plus its key. Default:
	// 1000000.
	Capacity Value `json:"capacity,omitempty"`

	// How long a user is remembered after their last event, such as `400d`. It should
	// be longer than any user stays away, because only endSession ends a manual
	// session. Default: `400d`.
	Retention Value `json:"retention,omitempty"`

	store    StoreModule
	settings sessionstate.Settings
	lease    *lease
	logger   *zap.Logger
	ctx      caddy.Context

	mu sync.Mutex
	// handlers are those of this configuration, in the order in which Caddy loaded
	// them.
	handlers []*Handler
}

// register adds a handler that uses the app.
func (a *App) register(h *Handler) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handlers = append(a.handlers, h)
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "rudder_session",
		New: func() caddy.Module { return new(App) },
	}
}

const (
	defaultStore     = "file"
	defaultCapacity  = 1_000_000
	defaultRetention = 400 * 24 * 60 * 60 * 1000 // milliseconds
)

// Provision reads the options and takes a lease of the table. It opens nothing and
// changes nothing that a running configuration uses.
func (a *App) Provision(ctx caddy.Context) (err error) {
	a.ctx, a.logger = ctx, ctx.Logger()
	if err := a.readOptions(); err != nil {
		return err
	}
	var store any
	if a.StoreRaw != nil {
		store, err = ctx.LoadModule(a, "StoreRaw")
	} else {
		id := "rudder_session.stores." + defaultStore
		if _, err := caddy.GetModule(id); err != nil {
			return fmt.Errorf("store: the default, %q, is not in this build of Caddy: name another", defaultStore)
		}
		store, err = ctx.LoadModuleByID(id, nil)
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	var ok bool
	if a.store, ok = store.(StoreModule); !ok {
		return fmt.Errorf("store: %T is no session store", store)
	}
	a.settings.FlushInterval = defaultFlushInterval
	if lazy, ok := store.(WritesBehind); ok {
		a.settings.FlushInterval = lazy.DelayWrites()
	}
	if bounded, ok := store.(Bounded); ok {
		a.settings.MaxStored = bounded.BoundSessions()
	}
	a.lease, err = newLease(a.store.Identity(), a.logger)
	return err
}

func (a *App) options() []Option {
	return []Option{
		{"store", a.unmarshalStore, nil}, // Caddy loads it: see Provision
		ValueOption("capacity", &a.Capacity, parseCapacity, defaultCapacity, &a.settings.Capacity),
		ValueOption("retention", &a.Retention, parseMilliseconds, defaultRetention, &a.settings.Retention),
	}
}

func (a *App) readOptions() error { return ReadOptions(a.options()) }

// Start opens the table and adds this configuration's settings.
func (a *App) Start() error {
	t, err := a.lease.enter()
	if err != nil {
		return err
	}
	defer a.leave()
	t.add(a)
	return t.open(a)
}

// Stop removes this configuration's settings from the table.
func (a *App) Stop() error {
	a.withdraw()
	return nil
}

// Cleanup releases the table when the last request is done with it.
func (a *App) Cleanup() error {
	if a.lease != nil {
		a.withdraw()
		a.lease.retire()
	}
	return nil
}

// withdraw removes this configuration's settings from the table.
func (a *App) withdraw() {
	if t, err := a.lease.enter(); err == nil {
		t.remove(a)
		a.leave()
	}
}

// enter returns the open table. Unless it returns an error, the caller must call leave
// when it is done.
func (a *App) enter() (*sharedTable, error) {
	t, err := a.lease.enter()
	if err != nil {
		return nil, err
	}
	if err := t.open(a); err != nil {
		a.leave()
		return nil, err
	}
	return t, nil
}

// leave ends what enter began.
func (a *App) leave() { a.lease.leave() }

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
