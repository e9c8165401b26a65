package caddymodule

import (
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
)

// StoreModule is what a guest module in the namespace rudder_session.stores
// must be: a place where sessions are kept.
type StoreModule interface {
	// Identity names the resource that sessions are kept in, such as a file's
	// path. Configurations whose stores have one identity share one table,
	// before and after a reload, whatever else they say of it.
	Identity() string

	// Open opens the store. It is called once for an identity, when the
	// configuration starts or its first request comes, never by a mere
	// validation. The store may outlive the module, and is closed when no
	// configuration uses it any more.
	Open(logger *zap.Logger) (sessionstate.Store, error)
}

// WritesBehind is a StoreModule that says how long changes may wait that need
// not survive a crash. Where modules of one identity differ, the shortest holds.
type WritesBehind interface {
	StoreModule

	DelayWrites() time.Duration
}

// Bounded is a StoreModule that says how many sessions it keeps, 0 for any
// number. Where modules of one identity differ, the largest number holds.
type Bounded interface {
	StoreModule

	BoundSessions() int64
}

func init() {
	caddy.RegisterModule((*MemoryStore)(nil))
}

// MemoryStore keeps sessions in the memory of the process: through reloads of
// the configuration, but not through a restart, and for this process alone. The
// `capacity` of the app bounds it: where it is reached, the sessions that were
// not used for longest are forgotten.
type MemoryStore struct{}

// CaddyModule returns the Caddy module information.
func (*MemoryStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "rudder_session.stores.memory",
		New: func() caddy.Module { return new(MemoryStore) },
	}
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store memory
func (*MemoryStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	_, err := UnmarshalBlock(d, "store memory", nil)
	return err
}

// Identity is the same for all: one process has one memory.
func (*MemoryStore) Identity() string { return "memory" }

// Open never fails.
func (*MemoryStore) Open(*zap.Logger) (sessionstate.Store, error) {
	return memorystore.New(), nil
}

// Interface guards
var (
	_ StoreModule           = (*MemoryStore)(nil)
	_ caddyfile.Unmarshaler = (*MemoryStore)(nil)
)
