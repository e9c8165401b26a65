package sessionstate_test

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
	"github.com/rudder-session/rudder-session/sessionstate/storetest"
)

// failStore is a store that is not resident, in which a test decides about the fate
// of each call. A table takes it for its own. It holds the table to what that
// promises: versions grow, no key stands twice in a call, none comes after Close.
type failStore struct {
	mu       sync.Mutex
	sessions map[string]*session.Session
	gets     int
	// calls has the changes that were asked for, call by call, and refused
	// counts those that came after somebody else's.
	calls   [][]Swap
	refused int
	closed  bool
	broken  []string

	hooks
	// late is what a call has left to be done before the next one.
	late func()
}

// hooks, where set, have a say in each call.
type hooks struct {
	// onGet and onSwap are asked before it.
	onGet  func(ctx context.Context, key string) error
	onSwap func(ctx context.Context, changes []Swap) error
	// gotten and swapped are called when it is done, and before it is answered.
	gotten  func(key string)
	swapped func(changes []Swap)
	// fate decides about each change.
	fate func(c *Swap) fate
}

// fate is what becomes of a change.
type fate int

const (
	kept    fate = iota // it is done
	failed              // it is not done, and an error
	unheard             // it is done, and an error, as when an answer is lost
	late                // the same, but it is done when nobody waits for it any more
	refused             // somebody else's came first
)

// always makes a fate that is the same for all.
func always(f fate) func(*Swap) fate { return func(*Swap) fate { return f } }

// first makes a fate of the first change only.
func first(f fate) func(*Swap) fate {
	n := 0
	return func(*Swap) fate {
		if n++; n > 1 {
			return kept
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

// hooked returns the hooks; a call begins with it.
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
	r.overtake()
	r.calls = append(r.calls, append([]Swap(nil), changes...))
	keys := map[string]bool{}
	for i := range changes {
		c := &changes[i]
		r.check(!keys[c.Key], "%q stands twice among the changes", c.Key)
		keys[c.Key] = true
		f := kept
		if h.fate != nil {
			f = h.fate(c)
		}
		switch f {
		case kept:
			c.Done = r.write(*c)
		case failed:
			c.Err = errDown
		case unheard:
			r.write(*c)
			c.Err = errDown
		case late:
			before, change := r.late, *c
			r.late = func() {
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

// overtake does what was left to be done.
func (r *failStore) overtake() {
	if do := r.late; do != nil {
		r.late = nil
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
	r.overtake()
	r.closed = true
	return nil
}

// all returns what the store holds.
func (r *failStore) all() map[string]*session.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.sessions)
}

// held returns what it holds of a key, or nil.
func (r *failStore) held(key string) *session.Session { return r.all()[key] }

// counts is what a store was asked for.
type counts struct{ gets, swaps, refused int }

func (r *failStore) counts() counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return counts{r.gets, len(r.calls), r.refused}
}

// since returns what was asked for since.
func (r *failStore) since(before counts) counts {
	now := r.counts()
	return counts{now.gets - before.gets, now.swaps - before.swaps, now.refused - before.refused}
}

// waitFor makes a hook that waits, as long as its caller does.
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

// reopened is what the next process finds of the store.
func (r *failStore) reopened(t testing.TB) *failStore {
	next := newFailStore(t)
	next.sessions = r.all()
	return next
}

// told is the view that one process has of a store which others change
// too. A test says when it is told of their changes.
type told struct {
	*failStore
	changed func(string)
	lost    func()
	// strict: nothing is told.
	strict bool
}

func (s *told) Watch(changed func(string), lost func()) bool {
	s.changed, s.lost = changed, lost
	return !s.strict
}

// Close leaves the store to the others.
func (s *told) Close() error { return nil }

var _ Shared = (*told)(nil)

func TestFailStoreIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) Store { return newFailStore(t) })
}

// long is an interval that no test lasts.
const long = 24 * time.Hour

// open makes a table that is closed with the test.
func open(t testing.TB, store Store, o Options) *Table {
	table := delaying(store, o)
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return table
}

// delaying makes one that the test closes. It holds changes for as long as it
// can, where o does not say otherwise.
func delaying(store Store, o Options) *Table {
	if o.Capacity == 0 {
		o.Capacity = 1000
	}
	if o.FlushInterval == 0 {
		o.FlushInterval = long
	}
	return NewTable(store, o)
}

// flushing are the options of a table that writes after so long.
func flushing(interval time.Duration) Options {
	return Options{Settings: Settings{FlushInterval: interval}}
}

// give sends one message, at a moment after it.
func give(table *Table, key string, p *session.Policy, e session.Event) (session.Decision, error) {
	var d [1]session.Decision
	err := table.Apply(context.Background(), key, request(max(base+1000, e.Times.Original), p, []session.Event{e}), d[:])
	return d[0], err
}

// proxied is a policy under which events begin sessions, and make them last.
var proxied = session.Policy{Automatic: session.AutomaticProxy, Timeout: 30 * 60_000, Retention: 400 * 24 * 3600_000}

const minutes = 60_000

// send sends one message that must be answered.
func send(t testing.TB, table *Table, key string, e session.Event) session.Decision {
	t.Helper()
	d, err := give(table, key, &proxied, e)
	if err != nil {
		t.Errorf("%s: %v", brief(e), err)
	}
	return d
}

func endAt(at int64, m session.MessageID) session.Event {
	return session.Event{Kind: session.End, Times: original(at), Message: m}
}

// current is what a client is told of a key's session.
func current(t testing.TB, table *Table, key string, at int64) int64 {
	t.Helper()
	id, err := table.Current(t.Context(), key, at, &proxied)
	if err != nil {
		t.Errorf("current session: %v", err)
	}
	return id
}

// last is the newest moment of a session that a store holds.
func last(s *session.Session) int64 {
	if s == nil || len(s.Segments) == 0 {
		return 0
	}
	return s.Segments[len(s.Segments)-1].Last.Time - base
}
