package sessionstate_test

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
	"github.com/rudder-session/rudder-session/sessionstate/storetest"
)

// failStore is a store that is not in memory, and in which a test decides the outcome
// of each call. A table treats it as changed by this process only. It checks what the
// table promises: versions grow, no key is twice in a call, no call comes after Close.
type failStore struct {
	mu       sync.Mutex
	sessions map[string]*session.Session
	gets     int
	// calls has the requested changes by call; refused counts those that conflicted.
	calls   [][]Swap
	refused int
	closed  bool
	broken  []string

	hooks
	// postponed does the changes with outcome appliedLate; it is called at the beginning
	// of the next call.
	postponed func()
}

// hooks, where set, influence each call.
type hooks struct {
	// onGet and onSwap are called before it; their error fails the call.
	onGet  func(ctx context.Context, key string) error
	onSwap func(ctx context.Context, changes []Swap) error
	// gotten and swapped are called after it, before it returns.
	gotten  func(key string)
	swapped func(changes []Swap)
	// outcome decides the outcome of each change.
	outcome func(c *Swap) outcome
}

// outcome is what happens to a change.
type outcome int

const (
	applied     outcome = iota
	failed              // not applied, with an error
	answerLost          // applied, but with an error
	appliedLate         // an error, and applied afterwards
	refused             // a conflict
)

// always makes a hook with the same outcome for all changes.
func always(f outcome) func(*Swap) outcome { return func(*Swap) outcome { return f } }

// first makes a hook with an outcome for the first change only.
func first(f outcome) func(*Swap) outcome {
	n := 0
	return func(*Swap) outcome {
		if n++; n > 1 {
			return applied
		}
		return f
	}
}

func newFailStore(t testing.TB) *failStore {
	r := &failStore{sessions: map[string]*session.Session{}}
	t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, text := range r.broken {
			t.Error(text)
		}
	})
	return r
}

// set replaces the hooks.
func (r *failStore) set(h hooks) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hooks = h
}

// hooked returns the hooks. Each call begins with it.
func (r *failStore) hooked() hooks {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.check(!r.closed, "the store was used after it was closed")
	return r.hooks
}

func (r *failStore) check(ok bool, format string, args ...any) {
	if !ok {
		r.broken = append(r.broken, fmt.Sprintf(format, args...))
	}
}

func (r *failStore) Get(ctx context.Context, key string) (*session.Session, error) {
	h := r.hooked()
	if h.onGet != nil {
		if err := h.onGet(ctx, key); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	r.gets++
	s := r.sessions[key]
	r.mu.Unlock()
	if h.gotten != nil {
		h.gotten(key)
	}
	return s, nil
}

func (r *failStore) CompareAndSwap(ctx context.Context, changes []Swap) {
	h := r.hooked()
	if h.onSwap != nil {
		if err := h.onSwap(ctx, changes); err != nil {
			for i := range changes {
				changes[i].Err = err
			}
			return
		}
	}
	r.swap(h, changes)
	if h.swapped != nil {
		h.swapped(changes)
	}
}

func (r *failStore) swap(h hooks, changes []Swap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applyPostponed()
	r.calls = append(r.calls, append([]Swap(nil), changes...))
	keys := map[string]bool{}
	for i := range changes {
		c := &changes[i]
		r.check(!keys[c.Key], "%q stands twice among the changes", c.Key)
		keys[c.Key] = true
		f := applied
		if h.outcome != nil {
			f = h.outcome(c)
		}
		switch f {
		case applied:
			c.Done = r.write(*c)
		case failed:
			c.Err = errDown
		case answerLost:
			r.write(*c)
			c.Err = errDown
		case appliedLate:
			before, change := r.postponed, *c
			r.postponed = func() {
				if before != nil {
					before()
				}
				r.write(change)
			}
			c.Err = errDown
		}
		if !c.Done && c.Err == nil {
			r.refused++
		}
	}
}

// applyPostponed applies the postponed changes.
func (r *failStore) applyPostponed() {
	if do := r.postponed; do != nil {
		r.postponed = nil
		do()
	}
}

func (r *failStore) write(c Swap) bool {
	version := session.Version(0)
	if s := r.sessions[c.Key]; s != nil {
		version = s.Version
	}
	if version != c.Old {
		return false
	}
	r.check(c.Next.Version > c.Old, "%q: version %d was followed by %d", c.Key, c.Old, c.Next.Version)
	r.sessions[c.Key] = c.Next
	return true
}

func (r *failStore) Delete(_ context.Context, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, key)
	return nil
}

func (r *failStore) Scan(_ context.Context, fn func(string, *session.Session) error) error {
	for key, s := range r.all() {
		if err := fn(key, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *failStore) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applyPostponed()
	r.closed = true
	return nil
}

// all returns what the store holds.
func (r *failStore) all() map[string]*session.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.sessions)
}

// held returns the stored session of a key, or nil.
func (r *failStore) held(key string) *session.Session { return r.all()[key] }

// counts counts the calls of a store.
type counts struct{ gets, swaps, refused int }

func (r *failStore) counts() counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return counts{r.gets, len(r.calls), r.refused}
}

// since returns the counts since an earlier time.
func (r *failStore) since(before counts) counts {
	now := r.counts()
	return counts{now.gets - before.gets, now.swaps - before.swaps, now.refused - before.refused}
}

// waitFor makes a hook that waits for answer, or until the caller gives up.
func waitFor(answer <-chan struct{}) func(context.Context, []Swap) error {
	return func(ctx context.Context, _ []Swap) error {
		select {
		case <-answer:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reopened returns the store as the next process finds it.
func (r *failStore) reopened(t testing.TB) *failStore {
	next := newFailStore(t)
	next.sessions = r.all()
	return next
}

// processView is one process's view of a store that others change too. The test
// decides when it is notified of their changes.
type processView struct {
	*failStore
	changed func(string)
	lost    func()
	// strict: it is never notified, and says so.
	strict bool
}

func (s *processView) Watch(changed func(string), lost func()) bool {
	s.changed, s.lost = changed, lost
	return !s.strict
}

// Close leaves the store open for the other processes.
func (s *processView) Close() error { return nil }

var _ Shared = (*processView)(nil)

func TestFailStoreIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) Store { return newFailStore(t) })
}
