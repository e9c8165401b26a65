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

// remote is a store that is not resident, as one on a disk or in another
// process is. Its hooks, where set, are asked before each call.
type remote struct {
	mu       sync.Mutex
	sessions map[string]*session.Session
	gets     int
	swaps    int
	closed   bool

	onGet  func(ctx context.Context) error
	onSwap func(ctx context.Context) error
	// unheard: swaps are done and fail nevertheless, as when an answer is lost.
	unheard error
	// refuse: swaps are lost to somebody else.
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
	return r.unheard == nil, r.unheard
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

// shared is a remote that others change too. What they do is told to those who
// watch through another one.
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
		s.tell(c.Key)
	}
}

func (s *shared) Delete(ctx context.Context, key string) error {
	defer s.tell(key)
	return s.remote.Delete(ctx, key)
}

func (s *shared) tell(key string) {
	s.others.mu.Lock()
	defer s.others.mu.Unlock()
	for _, other := range s.others.all {
		if other != s {
			other.changed(key)
		}
	}
}

// strict is a shared store of which nothing is kept.
type strict struct{ *remote }

func (strict) Watch(func(string), func()) bool { return false }

// newTable makes a table that writes what is delayed when it is closed, at the
// end of the test, and no sooner.
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
