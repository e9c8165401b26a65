package caddymodule

import (
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
)

// StoreModule is what a module in the namespace rudder_session.stores must
// implement: a place where sessions are kept.
type StoreModule interface {
	// Identity names the resource that keeps the sessions, such as the path of a
	// file. Configurations whose stores have the same identity share one table,
	// before and after a reload, even if their other options differ.
	Identity() string

	// Open opens the store. It is called once for an identity, when the
	// configuration starts or gets its first request, and never when it is only
	// validated. The store may outlive the module, and is closed when no
	// configuration uses it any more.
	Open(logger *zap.Logger) (sessionstate.Store, error)
}

// WritesBehind is a StoreModule that limits how long a change that need not survive a
// crash may wait to be written. If modules with the same identity differ, the shortest
// time applies.
type WritesBehind interface {
	StoreModule

	DelayWrites() time.Duration
}

// Bounded is a StoreModule that limits how many sessions it keeps, 0 for no limit. If
// modules with the same identity differ, the largest limit applies.
type Bounded interface {
	StoreModule

	BoundSessions() int64
}

func init() {
	caddy.RegisterModule((*MemoryStore)(nil))
}

// MemoryStore keeps sessions in the memory of the process: through reloads of
// the configuration, but not through a restart, and for this process only. The
// `capacity` of the app limits it: beyond that, the least recently used sessions
// are forgotten.
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

// Identity is the same for all, because a process has one memory.
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
