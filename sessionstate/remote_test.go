package sessionstate_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
	"github.com/rudder-session/rudder-session/sessionstate/storetest"
)

// remote is a store that is not in memory, like one on a disk or in another process.
// Its hooks, where set, are called before each call.
type remote struct {
	mu       sync.Mutex
	sessions map[string]*session.Session
	gets     int
	swaps    int
	closed   bool

	onGet  func(ctx context.Context) error
	onSwap func(ctx context.Context) error
	// answerLost, if not nil, is returned by swaps that are done.
	answerLost error
	// refuse: swaps conflict.
	refuse bool
}

func newRemote() *remote { return &remote{sessions: map[string]*session.Session{}} }

func (r *remote) Get(ctx context.Context, key string) (*session.Session, error) {
	if r.onGet != nil {
		if err := r.onGet(ctx); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gets++
	return r.sessions[key], nil
}

func (r *remote) CompareAndSwap(ctx context.Context, changes []Swap) {
	for i := range changes {
		c := &changes[i]
		c.Done, c.Err = r.swap(ctx, c)
	}
}

func (r *remote) swap(ctx context.Context, c *Swap) (bool, error) {
	if r.onSwap != nil {
		if err := r.onSwap(ctx); err != nil {
			return false, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swaps++
	version := session.Version(0)
	if s := r.sessions[c.Key]; s != nil {
		version = s.Version
	}
	if version != c.Old || r.refuse {
		return false, nil
	}
	r.sessions[c.Key] = c.Next
	return r.answerLost == nil, r.answerLost
}

func (r *remote) Delete(_ context.Context, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, key)
	return nil
}

func (r *remote) Scan(_ context.Context, fn func(string, *session.Session) error) error {
	r.mu.Lock()
	sessions := maps.Clone(r.sessions)
	r.mu.Unlock()
	for key, s := range sessions {
		if err := fn(key, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *remote) Close() error {
	r.closed = true
	return nil
}

// shared is a remote that other processes change too: changes through one connection
// are reported to the others.
type shared struct {
	*remote
	others  *watchers
	changed func(string)
	lost    func()
}

type watchers struct {
	mu  sync.Mutex
	all []*shared
}

func newShared() *shared { return (&shared{remote: newRemote(), others: new(watchers)}).again() }

// again is another connection to the same store.
func (s *shared) again() *shared { return &shared{remote: s.remote, others: s.others} }

func (s *shared) Watch(changed func(string), lost func()) bool {
	s.changed, s.lost = changed, lost
	s.others.mu.Lock()
	defer s.others.mu.Unlock()
	s.others.all = append(s.others.all, s)
	return true
}

func (s *shared) CompareAndSwap(ctx context.Context, changes []Swap) {
	s.remote.CompareAndSwap(ctx, changes)
	for _, c := range changes {
		s.notify(c.Key)
	}
}

func (s *shared) Delete(ctx context.Context, key string) error {
	defer s.notify(key)
	return s.remote.Delete(ctx, key)
}

func (s *shared) notify(key string) {
	s.others.mu.Lock()
	defer s.others.mu.Unlock()
	for _, other := range s.others.all {
		if other != s {
			other.changed(key)
		}
	}
}

// strict is a shared store that does not report changes, so that nothing is cached.
type strict struct{ *remote }

func (strict) Watch(func(string), func()) bool { return false }

// newTable makes a table that writes its delayed changes only when it is closed, at the
// end of the test.
func newTable(t testing.TB, store Store, capacity int, deadline time.Duration) *Table {
	t.Helper()
	table := NewTable(store, Options{
		Settings: Settings{Capacity: capacity, FlushInterval: time.Hour}, Deadline: deadline,
	})
	t.Cleanup(func() { table.Close() })
	return table
}

func TestStoresOfTheTests(t *testing.T) {
	for name, open := range map[string]func() Store{
		"remote": func() Store { return newRemote() },
		"shared": func() Store { return newShared() },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(*testing.T) Store { return open() })
		})
	}
}
