// Package file is the Caddy module rudder_session.stores.file, the default
// store of rudder_session.
package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

func init() {
	caddy.RegisterModule((*Store)(nil))
}

// Store keeps sessions in a file: through crashes, restarts and deploys. A
// control call is on the disk before it is answered, other changes soon after. Only
// one Caddy can use the file; its sites share it.
//
// `max_sessions` limits the sessions in the file, which take about 200 bytes each;
// the `capacity` of the app limits only memory.
type Store struct {
	// The path of the file. Its directory is created if it does not exist. Default:
	// `rudder_session/sessions.db` in Caddy's data directory.
	Path caddymodule.Value `json:"path,omitempty"`

	// How long two kinds of change may wait to be written: that an automatic session
	// is extended, and that a user was seen. A crash within that time loses them.
	// Every other change is on the disk before its event is forwarded. Default:
	// `100ms`.
	FlushInterval caddymodule.Value `json:"flush_interval,omitempty"`

	// How many sessions the file keeps at most, or `off` for no limit. Beyond that,
	// the sessions that were not seen for the longest time are forgotten. Default:
	// `100000000`.
	MaxSessions caddymodule.Value `json:"max_sessions,omitempty"`

	// How long to keep a file that could not be read and was set aside, or `off` to
	// keep it forever. It may contain ids. Default: `30d`.
	KeepUnreadable caddymodule.Value `json:"keep_unreadable,omitempty"`

	path           string
	identity       string
	interval       time.Duration
	maxSessions    int64
	keepUnreadable time.Duration
}

// CaddyModule returns the Caddy module information.
func (*Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "rudder_session.stores.file",
		New: func() caddy.Module { return new(Store) },
	}
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store file [<path>] {
//	    flush_interval <duration>
//	    max_sessions   <sessions>|off
//	    keep_unreadable <duration>|off
//	}
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		if s.Path = caddymodule.Value(d.Val()); s.Path == "" {
			return d.Err("store file: the path is empty")
		}
		if !strings.Contains(d.Val(), "{") {
			if _, err := parsePath(d.Val()); err != nil {
				return d.Errf("path: %v", err)
			}
		}
	}
	_, err := caddymodule.UnmarshalBlock(d, "store file", s.options())
	return err
}

const (
	defaultFlushInterval  = 100 * time.Millisecond
	defaultMaxSessions    = 100_000_000 // about 20 GB
	defaultKeepUnreadable = 30 * 24 * time.Hour
)

// options returns those of the block. In a Caddyfile, the path is an argument.
func (s *Store) options() []caddymodule.Option {
	return []caddymodule.Option{
		caddymodule.ValueOption("flush_interval", &s.FlushInterval, caddymodule.ParseDuration, defaultFlushInterval, &s.interval),
		caddymodule.ValueOption("max_sessions", &s.MaxSessions, caddymodule.ParseMaxSessions, defaultMaxSessions, &s.maxSessions),
		caddymodule.ValueOption("keep_unreadable", &s.KeepUnreadable, caddymodule.ParseDurationOrOff, defaultKeepUnreadable, &s.keepUnreadable),
	}
}

// Provision reads the options. It does not open the file.
func (s *Store) Provision(ctx caddy.Context) (err error) {
	if err := caddymodule.ReadOptions(s.options()); err != nil {
		return err
	}
	s.path, err = caddymodule.Read("path", s.Path, parsePath, filepath.Join(caddy.AppDataDir(), "rudder_session", "sessions.db"))
	if err != nil {
		return err
	}
	if info, err := os.Stat(s.path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return fmt.Errorf("path: %s is no file, but %v", s.path, info.Mode().Type())
	}
	var replaced bool
	if s.identity, replaced = identify(s.path); replaced {
		ctx.Logger().Error("the session file was deleted, moved or replaced while it was open; what its path leads to now is opened instead",
			zap.String("file", s.path))
	}
	return nil
}

func parsePath(text string) (string, error) {
	if strings.HasSuffix(text, string(filepath.Separator)) {
		return "", fmt.Errorf("%q names a directory, not a file", text)
	}
	return filepath.Abs(text)
}

// Identity names the file, the same for each of its paths: sites that use it share it.
func (s *Store) Identity() string { return s.identity }

// DelayWrites returns the flush interval.
func (s *Store) DelayWrites() time.Duration { return s.interval }

// BoundSessions returns max_sessions, 0 for off.
func (s *Store) BoundSessions() int64 { return s.maxSessions }

// Open opens the file.
func (s *Store) Open(logger *zap.Logger) (sessionstate.Store, error) {
	store, err := filestore.Open(s.path, filestore.Log{
		SetAside: func(path, as string, why error) {
			logger.Error("the session file could not be read; it was set aside and sessions begin anew",
				zap.String("file", path), zap.String("set_aside_as", as), zap.Error(why))
		},
		Sweep:   func(err error) { logger.Error("forgetting old sessions", zap.Error(err)) },
		Skipped: func(err error) { logger.Warn("the session file is used as it is", zap.Error(err)) },
		Detached: func(err error) {
			logger.Error("nothing is written to the session file until it is back: what is not is lost with the process", zap.Error(err))
		},
		Attached: func() { logger.Info("the session file is back") },
		Removed: func(path string) {
			logger.Info("removed a file that had been set aside", zap.String("file", path))
		},
	})
	if errors.Is(err, filestore.ErrLocked) {
		return nil, fmt.Errorf("store file: %w; one file serves one Caddy", err)
	}
	if err != nil {
		return nil, fmt.Errorf("store file: %w", err)
	}
	store.KeepSetAside(s.keepUnreadable)
	return register(s.identity, store), nil
}

// Interface guards
var (
	_ caddymodule.StoreModule  = (*Store)(nil)
	_ caddymodule.WritesBehind = (*Store)(nil)
	_ caddymodule.Bounded      = (*Store)(nil)
	_ caddy.Provisioner        = (*Store)(nil)
	_ caddyfile.Unmarshaler    = (*Store)(nil)
)
