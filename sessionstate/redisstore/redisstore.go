// Package redisstore keeps sessions in Redis or Valkey, shared by several processes.
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

// Store is a [sessionstate.Store] in Redis. A session is a string, encoded by
// [session.Append], and its key in Redis is the prefix and the session key.
type Store struct {
	link       *link
	prefix     string
	timeout    time.Duration
	strict     bool
	watch      atomic.Pointer[watcher]
	ownChanges ownChanges
	// expiry is how long Redis keeps a session, in milliseconds; 0 is forever.
	expiry atomic.Int64
	clock  clock
	// reading is the last measurement of the servers' clock; nil if there is none.
	reading   atomic.Pointer[reading]
	remeasure chan struct{}
	now       func() time.Time
	// bound is how many sessions are kept; 0 is no limit. newSessions counts those
	// added since room was last made.
	bound, newSessions atomic.Int64
	trimWake           chan struct{}
	// connectUntracked makes a connection for scans, without client tracking: Redis does
	// not remember what is read on it, and sends no invalidations.
	connectUntracked func() (rueidis.Client, error)
}

type watcher struct {
	changed func(key string)
	lost    func()
}

// Open makes a store and connects it. It is not an error if the server cannot be
// reached: the store tries again until it can.
func Open(o Options) (*Store, error) {
	s := &Store{
		prefix: o.Prefix, timeout: o.Timeout, strict: o.Strict, clock: newClock(),
		now: o.Now, remeasure: make(chan struct{}, 1), trimWake: make(chan struct{}, 1),
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
	client, err := o.client(s.invalidated, pingTimeout)
	if err != nil {
		return nil, err
	}
	untracked := o
	untracked.Strict = true
	if s.connectUntracked, err = untracked.client(nil, scanTimeout); err != nil {
		return nil, err
	}
	s.link = newLink(client, o.Timeout, o.Log)
	s.measure()
	s.link.background.Add(2)
	go s.followClock()
	go s.makeRoom()
	if !o.Strict {
		s.link.background.Add(1)
		go s.followSlots()
	}
	return s, nil
}

// Watch sets the functions to call when other processes change sessions.
func (s *Store) Watch(changed func(key string), lost func()) bool {
	s.watch.Store(&watcher{changed, lost})
	return !s.strict
}

// invalidated is called with the keys that have changed, or with nil if any key may
// have: all were deleted, or a connection was lost.
func (s *Store) invalidated(keys []rueidis.RedisMessage) {
	w := s.watch.Load()
	switch {
	case w == nil:
	case keys == nil:
		s.ownChanges.forget()
		s.measureSoon()
		w.lost()
	default:
		for i := range keys {
			key, err := keys[i].ToString()
			if key = strings.TrimPrefix(key, s.prefix); err == nil && !s.ownChanges.received(key) {
				w.changed(key)
			}
		}
	}
}

// Retain has Redis delete sessions some time after the retention has passed.
func (s *Store) Retain(retention int64) {
	expiry := int64(0)
	if retention > 0 {
		// The stored Seen may lag behind by a sixteenth of the retention.
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

const (
	// scanCount is the COUNT of each SCAN.
	scanCount = 500
	// scanTimeout limits each call of a scan. It is long, because no event waits for
	// one, and an export is not to break off because Redis was slow for a moment.
	scanTimeout = 10 * time.Second
)

// Scan calls fn with the sessions of all masters. It uses a connection without tracking:
// otherwise Redis would track each key that it reads, and stop tracking keys of sessions
// in use.
func (s *Store) Scan(ctx context.Context, fn func(string, *session.Session) error) error {
	if s.link.client.Load() == nil {
		return ErrDown
	}
	client, err := s.connectUntracked()
	if err != nil {
		return sanitized(err)
	}
	defer client.Close()
	for _, node := range client.Nodes() {
		role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
		if err != nil {
			return sanitized(err)
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
			return sanitized(err)
		}
		answers := s.read(ctx, client, page.Elements)
		for i, key := range page.Elements {
			b, err := answers[i].AsBytes()
			if rueidis.IsRedisNil(err) {
				continue // deleted since
			}
			if err != nil {
				return sanitized(err)
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

// read gets the values of keys in one pipeline.
func (s *Store) read(ctx context.Context, client rueidis.Client, keys []string) []rueidis.RedisResult {
	ctx, cancel := context.WithTimeout(ctx, max(s.timeout, scanTimeout))
	defer cancel()
	commands := make([]rueidis.Completed, len(keys))
	for i, key := range keys {
		commands[i] = client.B().Get().Key(key).Build()
	}
	return client.DoMulti(ctx, commands...)
}

func (s *Store) page(ctx context.Context, node rueidis.Client, cursor uint64, pattern string) (rueidis.ScanEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, max(s.timeout, scanTimeout))
	defer cancel()
	return node.Do(ctx, node.B().Scan().Cursor(cursor).Match(pattern).Count(scanCount).Build()).AsScanEntry()
}

// globs escapes the special characters of a pattern.
var globs = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// Down returns the share of the store that is known not to answer, 0 to 1: in a Cluster,
// only some nodes may be down.
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
