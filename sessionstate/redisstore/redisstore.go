// Package redisstore keeps sessions in Redis, or Valkey, for many processes that
// share them.
package redisstore

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Store is a [sessionstate.Store] in Redis. Sessions are strings in the form of
// [session.Append], under their keys behind a prefix.
type Store struct {
	link    *link
	prefix  string
	timeout time.Duration
	strict  bool
	watch   atomic.Pointer[watcher]
	own     ownChanges
	// expiry is how long Redis keeps a session, in milliseconds; 0 is for ever.
	expiry atomic.Int64
	clock  clock
	// reading is what the servers' clock said last; nil if that is not known.
	reading   atomic.Pointer[reading]
	remeasure chan struct{}
	now       func() time.Time
	// bound is how many sessions are kept; 0 is any number. fresh are those that
	// were made since it was last looked.
	bound, fresh atomic.Int64
	crowded      chan struct{}
	// apart connects anew, to where nothing that is read is told changes of.
	apart func() (rueidis.Client, error)
}

type watcher struct {
	changed func(key string)
	lost    func()
}

// Open makes a store and connects it. A server that cannot be reached is no
// error: it is tried again until it can be.
func Open(o Options) (*Store, error) {
	s := &Store{
		prefix: o.Prefix, timeout: o.Timeout, strict: o.Strict, clock: newClock(),
		now: o.Now, remeasure: make(chan struct{}, 1), crowded: make(chan struct{}, 1),
	}
	if s.now == nil {
		s.now = time.Now
	}
	up := o.Log.Up
	o.Log.Up = func() {
		s.measureSoon()
		if up != nil {
			up()
		}
	}
	client, err := o.client(s.invalidated)
	if err != nil {
		return nil, err
	}
	unwatched := o
	unwatched.Strict = true
	if s.apart, err = unwatched.client(nil); err != nil {
		return nil, err
	}
	s.link = newLink(client, o.Timeout, o.Log)
	s.measure()
	s.link.probing.Add(2)
	go s.followClock()
	go s.makeRoom()
	if !o.Strict {
		s.link.probing.Add(1)
		go s.followSlots()
	}
	return s, nil
}

// Watch has the table told of each change that others make.
func (s *Store) Watch(changed func(key string), lost func()) bool {
	s.watch.Store(&watcher{changed, lost})
	return !s.strict
}

// invalidated is called with keys that have changed, and with nil where all may
// have: all keys were deleted, or a connection was lost.
func (s *Store) invalidated(keys []rueidis.RedisMessage) {
	w := s.watch.Load()
	switch {
	case w == nil:
	case keys == nil:
		s.own.forget()
		s.measureSoon()
		w.lost()
	default:
		for i := range keys {
			key, err := keys[i].ToString()
			if key = strings.TrimPrefix(key, s.prefix); err == nil && !s.own.told(key) {
				w.changed(key)
			}
		}
	}
}

// Retain has Redis forget sessions some time after they count as forgotten.
func (s *Store) Retain(retention int64) {
	expiry := int64(0)
	if retention > 0 {
		// Seen may be older than it should be by a sixteenth.
		expiry = retention + retention/8 + 1
	}
	s.expiry.Store(expiry)
}

// Get returns the session of a key, or nil.
func (s *Store) Get(ctx context.Context, key string) (*session.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	b, err := s.get(ctx, key)
	if b == nil || err != nil {
		return nil, err
	}
	return session.Decode(b)
}

func (s *Store) get(ctx context.Context, key string) (b []byte, err error) {
	err = s.link.try(ctx, s.prefix+key, func(client rueidis.Client) (err error) {
		b, err = client.Do(ctx, client.B().Get().Key(s.prefix+key).Build()).AsBytes()
		if rueidis.IsRedisNil(err) {
			b, err = nil, nil
		}
		return err
	})
	return b, err
}

// Delete forgets a key, in all processes.
func (s *Store) Delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.link.try(ctx, s.prefix+key, func(client rueidis.Client) error {
		return client.Do(ctx, client.B().Del().Key(s.prefix+key).Build()).Error()
	})
}

// scanned is how many keys Redis is asked to look at at a time.
const scanned = 500

// Scan calls fn with the sessions of all masters. It has a connection of its own:
// on the other Redis would remember each key as read, and forget for it those of
// sessions that are in use.
func (s *Store) Scan(ctx context.Context, fn func(string, *session.Session) error) error {
	if s.link.client.Load() == nil {
		return ErrDown
	}
	client, err := s.apart()
	if err != nil {
		return plain(err)
	}
	defer client.Close()
	for _, node := range client.Nodes() {
		role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
		if err != nil {
			return plain(err)
		}
		if len(role) == 0 {
			return ownError("ROLE: an empty answer")
		}
		if name, _ := role[0].ToString(); name != "master" {
			continue
		}
		if err := s.scanNode(ctx, client, node, fn); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) scanNode(ctx context.Context, client, node rueidis.Client, fn func(string, *session.Session) error) error {
	pattern := globs.Replace(s.prefix) + "*"
	for cursor := uint64(0); ; {
		page, err := s.page(ctx, node, cursor, pattern)
		if err != nil {
			return plain(err)
		}
		answers := s.read(ctx, client, page.Elements)
		for i, key := range page.Elements {
			b, err := answers[i].AsBytes()
			if rueidis.IsRedisNil(err) {
				continue // deleted since
			}
			if err != nil {
				return plain(err)
			}
			stored, err := session.Decode(b)
			if err != nil {
				return err
			}
			if err := fn(strings.TrimPrefix(key, s.prefix), stored); err != nil {
				return err
			}
		}
		if cursor = page.Cursor; cursor == 0 {
			return nil
		}
	}
}

// read asks for the values of keys, all at once.
func (s *Store) read(ctx context.Context, client rueidis.Client, keys []string) []rueidis.RedisResult {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	commands := make([]rueidis.Completed, len(keys))
	for i, key := range keys {
		commands[i] = client.B().Get().Key(key).Build()
	}
	return client.DoMulti(ctx, commands...)
}

func (s *Store) page(ctx context.Context, node rueidis.Client, cursor uint64, pattern string) (rueidis.ScanEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return node.Do(ctx, node.B().Scan().Cursor(cursor).Match(pattern).Count(scanned).Build()).AsScanEntry()
}

// globs escapes what has a meaning in a pattern.
var globs = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// Down returns the share of the store that is known not to answer, 0 to 1: of a
// Cluster some nodes may be down and others not.
func (s *Store) Down() float64 { return s.link.down() }

// Close closes the connections.
func (s *Store) Close() error {
	s.link.close()
	return nil
}

// Interface guards
var (
	_ sessionstate.Shared    = (*Store)(nil)
	_ sessionstate.Forgetful = (*Store)(nil)
	_ sessionstate.Clocked   = (*Store)(nil)
	_ sessionstate.Bounded   = (*Store)(nil)
)
