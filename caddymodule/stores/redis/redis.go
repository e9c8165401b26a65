// Package redis is the Caddy module rudder_session.stores.redis. It is in a
// build of Caddy only where this package is imported:
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

// Store keeps sessions in Redis from version 7 on, or Valkey, for any number of
// Caddys: a single server, a Cluster, or one behind Sentinels. Each Caddy has
// the sessions of its users in memory as well, and Redis tells it when another
// one changes them.
//
// How safe sessions are from a crash of Redis is for its own configuration to
// say: `appendonly yes` there, and no `maxmemory-policy` that evicts.
type Store struct {
	// The servers: `redis://host:port`, `rediss://` for TLS, with user, password
	// and database number if need be, or `unix:///path`. Several are nodes of one
	// Cluster or, with `sentinel`, the Sentinels.
	URLs []string `json:"urls"`

	// The name of the master that the Sentinels at the URLs watch. Default: none,
	// the URLs are those of Redis itself.
	Sentinel caddymodule.Value `json:"sentinel,omitempty"`

	// User and password for the Sentinels. Default: none.
	SentinelUsername caddymodule.Value `json:"sentinel_username,omitempty"`
	SentinelPassword caddymodule.Value `json:"sentinel_password,omitempty"`

	// User and password, if they are not in the URLs: better as placeholders,
	// such as `{env.REDIS_PASSWORD}`. Default: those of the URLs.
	Username caddymodule.Value `json:"username,omitempty"`
	Password caddymodule.Value `json:"password,omitempty"`

	// TLS for `rediss://`. Default: the system's certificate authorities.
	TLS *TLS `json:"tls,omitempty"`

	// What stands before each key. Caddys with one prefix share their sessions. A
	// word in braces without a dot, such as `{sessions}:`, is no placeholder but a
	// hash tag, which has all keys in one slot of a Cluster. Default:
	// `rudder_session:`.
	Prefix caddymodule.Value `json:"prefix,omitempty"`

	// How long a request waits for Redis, each time it asks. Default: `500ms`.
	Timeout caddymodule.Value `json:"timeout,omitempty"`

	// When the others know what one Caddy was told: `eventual`, as soon as Redis
	// has told them, within milliseconds; `strict`, before the control call is
	// answered, for which every event waits for Redis. Default: `eventual`.
	Consistency caddymodule.Value `json:"consistency,omitempty"`

	// How many sessions Redis keeps at most, about, or `off` for any number. Beyond
	// it, those not seen for longest are forgotten, so that `maxmemory` is not
	// reached. Default: `off`.
	MaxSessions caddymodule.Value `json:"max_sessions,omitempty"`

	client      redisstore.Options
	maxSessions int64
	// tlsIdentity tells apart what makes another connection.
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

// options are those of the block. The URLs are arguments in a Caddyfile.
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

// textOption is an option with any value but an empty one.
func textOption(name string, from *caddymodule.Value, to *string) caddymodule.Option {
	return caddymodule.ValueOption(name, from, parseText, "", to)
}

// Provision reads the options. It does not connect.
func (s *Store) Provision(caddy.Context) error {
	o := &s.client
	if len(s.URLs) == 0 {
		return fmt.Errorf("urls: a URL is missing")
	}
	// Not ReadAll: its errors quote what they are about, and a URL has a password.
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

// keepTags keeps a hash tag from being taken for a placeholder: the names of all
// that there are when a configuration is loaded have a dot in them.
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

// parseText takes any text; an option that is not to be set is left out.
func parseText(text string) (string, error) {
	if text == "" {
		return "", errors.New("an empty value")
	}
	return text, nil
}

// BoundSessions is max_sessions, 0 for off.
func (s *Store) BoundSessions() int64 { return s.maxSessions }

// Identity is all that makes a connection, with what is in the files that are named:
// where it differs there is another connection, to the same sessions if it is
// the same Redis.
func (s *Store) Identity() string {
	o := s.client
	o.TLS = nil
	return fmt.Sprintf("redis %x", sha256.Sum256(fmt.Appendf(nil, "%q %+v %x", o.URLs, o, s.tlsIdentity)))
}

// Open connects. A Redis that cannot be reached does not keep Caddy from
// starting: what its absence means for events and control calls is the handler's
// to say, until it is there.
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
