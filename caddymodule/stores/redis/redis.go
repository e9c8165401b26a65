// Package redis is the Caddy module rudder_session.stores.redis. Only a build of
// Caddy that imports this package has it:
//
//	xcaddy build --with github.com/rudder-session/rudder-session \
//	    --with github.com/rudder-session/rudder-session/caddymodule/stores/redis
package redis

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
)

func init() {
	caddy.RegisterModule((*Store)(nil))
}

// Store keeps sessions in Redis (version 7 or newer) or Valkey, for any number of
// Caddys: in a single server, a Cluster, or a master with Sentinels. Each Caddy also
// caches the sessions of its users, and Redis notifies it when another one changes
// them.
//
// Whether sessions survive a crash of Redis depends on the configuration of Redis:
// set `appendonly yes`, and no `maxmemory-policy` that evicts.
type Store struct {
	// The servers: `redis://host:port`, or `rediss://` for TLS, with user, password
	// and database number if needed, or `unix:///path`. Several URLs are nodes of one
	// Cluster or, with `sentinel`, the Sentinels.
	URLs []string `json:"urls"`

	// The name of the master that the Sentinels at the URLs monitor. Default: none,
	// the URLs are those of Redis itself.
	Sentinel caddymodule.Value `json:"sentinel,omitempty"`

	// User and password for the Sentinels. Default: none.
	SentinelUsername caddymodule.Value `json:"sentinel_username,omitempty"`
	SentinelPassword caddymodule.Value `json:"sentinel_password,omitempty"`

	// User and password, instead of those in the URLs: preferably as placeholders,
	// such as `{env.REDIS_PASSWORD}`. Default: those of the URLs.
	Username caddymodule.Value `json:"username,omitempty"`
	Password caddymodule.Value `json:"password,omitempty"`

	// TLS for `rediss://`. Default: the system's certificate authorities.
	TLS *TLS `json:"tls,omitempty"`

	// The prefix of all keys. Caddys with the same prefix share their sessions. A
	// word in braces without a dot, such as `{sessions}:`, is not a placeholder but a
	// hash tag, which puts all keys into one slot of a Cluster. Default:
	// `rudder_session:`.
	Prefix caddymodule.Value `json:"prefix,omitempty"`

	// The timeout of each call to Redis. Default: `500ms`.
	Timeout caddymodule.Value `json:"timeout,omitempty"`

	// When a control call at one Caddy takes effect at the others: `eventual`, as soon
	// as Redis has notified them, within milliseconds; `strict`, before the call is
	// answered, but then every event waits for Redis. Default: `eventual`.
	Consistency caddymodule.Value `json:"consistency,omitempty"`

	// About how many sessions Redis keeps at most, or `off` for no limit. Beyond that,
	// the sessions that were not seen for the longest time are forgotten, so that
	// `maxmemory` is not reached. Default: `off`.
	MaxSessions caddymodule.Value `json:"max_sessions,omitempty"`

	client      redisstore.Options
	maxSessions int64
	// tlsIdentity is part of Identity: it differs if the TLS configuration does.
	tlsIdentity []byte
}

// CaddyModule returns the Caddy module information.
func (*Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "rudder_session.stores.redis",
		New: func() caddy.Module { return new(Store) },
	}
}

const (
	defaultPrefix  = "rudder_session:"
	defaultTimeout = 500 * time.Millisecond
)

var parseConsistency = caddymodule.OneOf([]string{"eventual", "strict"}, []bool{false, true})

// options returns those of the block. In a Caddyfile, the URLs are arguments.
func (s *Store) options() []caddymodule.Option {
	o := &s.client
	prefix := textOption("prefix", &s.Prefix, &o.Prefix)
	prefix.Read = func() (err error) {
		o.Prefix, err = caddymodule.Read("prefix", keepTags(s.Prefix), parseText, defaultPrefix)
		return err
	}
	return []caddymodule.Option{
		textOption("sentinel", &s.Sentinel, &o.Sentinel),
		textOption("sentinel_username", &s.SentinelUsername, &o.SentinelUsername),
		textOption("sentinel_password", &s.SentinelPassword, &o.SentinelPassword),
		textOption("username", &s.Username, &o.Username),
		textOption("password", &s.Password, &o.Password),
		prefix,
		caddymodule.ValueOption("timeout", &s.Timeout, caddymodule.ParseDuration, defaultTimeout, &o.Timeout),
		caddymodule.ValueOption("consistency", &s.Consistency, parseConsistency, false, &o.Strict),
		caddymodule.ValueOption("max_sessions", &s.MaxSessions, caddymodule.ParseMaxSessions, 0, &s.maxSessions),
		{Name: "tls", Unmarshal: s.unmarshalTLS, Read: s.readTLS},
	}
}

// textOption is an option whose value is any text that is not empty.
func textOption(name string, from *caddymodule.Value, to *string) caddymodule.Option {
	return caddymodule.ValueOption(name, from, parseText, "", to)
}

// Provision reads the options. It does not connect.
func (s *Store) Provision(caddy.Context) error {
	o := &s.client
	if len(s.URLs) == 0 {
		return fmt.Errorf("urls: a URL is missing")
	}
	// Not ReadAll: its errors quote the value, and a URL may contain a password.
	for _, text := range s.URLs {
		resolved, err := caddymodule.Read("urls", caddymodule.Value(text), parseText, "")
		if err != nil {
			return err
		}
		o.URLs = append(o.URLs, resolved)
	}
	if err := caddymodule.ReadOptions(s.options()); err != nil {
		return err
	}
	if err := o.Check(); err != nil {
		return fmt.Errorf("urls: %w", err)
	}
	return nil
}

// keepTags escapes hash tags, so that they are not replaced as placeholders. The name
// of every placeholder that exists when a configuration is loaded has a dot.
func keepTags(v caddymodule.Value) caddymodule.Value {
	var kept strings.Builder
	rest := string(v)
	for {
		open := strings.IndexByte(rest, '{')
		end := strings.IndexByte(rest[open+1:], '}') + open + 1
		if open < 0 || end <= open {
			kept.WriteString(rest)
			return caddymodule.Value(kept.String())
		}
		tag := rest[open+1 : end]
		if strings.ContainsAny(tag, `.\{`) || open > 0 && rest[open-1] == '\\' {
			kept.WriteString(rest[:end+1])
		} else {
			kept.WriteString(rest[:open] + `\{` + tag + `\}`)
		}
		rest = rest[end+1:]
	}
}

// parseText accepts any text but an empty one: to not set an option, omit it.
func parseText(text string) (string, error) {
	if text == "" {
		return "", errors.New("an empty value")
	}
	return text, nil
}

// BoundSessions returns max_sessions, 0 for off.
func (s *Store) BoundSessions() int64 { return s.maxSessions }

// Identity is a hash of all connection options, including the contents of the
// certificate files. A module with another identity has a connection of its own; if
// it is to the same Redis, it has the same sessions.
func (s *Store) Identity() string {
	o := s.client
	o.TLS = nil
	return fmt.Sprintf("redis %x", sha256.Sum256(fmt.Appendf(nil, "%q %+v %x", o.URLs, o, s.tlsIdentity)))
}

// Open connects. Caddy starts even if Redis cannot be reached: until it can, the
// handler decides what happens to events and control calls.
func (s *Store) Open(logger *zap.Logger) (sessionstate.Store, error) {
	o := s.client
	o.Log = redisstore.Log{
		Down: func(err error) { logger.Error("redis does not answer; it is tried until it does", zap.Error(err)) },
		Up:   func() { logger.Info("redis answers again") },
		Clock: func(ahead time.Duration, far bool) {
			if far {
				logger.Warn("this machine's clock differs from that of redis, by which sessions go: it is corrected for, but should be put right",
					zap.Duration("ahead", ahead))
			} else {
				logger.Info("this machine's clock is that of redis again", zap.Duration("ahead", ahead))
			}
		},
	}
	store, err := redisstore.Open(o)
	if err != nil {
		return nil, fmt.Errorf("store redis: %w", err)
	}
	return store, nil
}

// Interface guards
var (
	_ caddymodule.StoreModule = (*Store)(nil)
	_ caddymodule.Bounded     = (*Store)(nil)
	_ caddy.Provisioner       = (*Store)(nil)
)
