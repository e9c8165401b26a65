package sessionstate_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/storetest"
)

// remote is a store that is not resident, as one on a disk or in another
// process is. Its hooks, where set, are asked before each call.
type remote struct {
	mu       sync.Mutex
	sessions map[string]*Session
	gets     int
	swaps    int
	durable  int
	closed   bool

	onGet  func(ctx context.Context) error
	onSwap func(ctx context.Context) error
	// unheard: swaps are done and fail nevertheless, as when an answer is lost.
	unheard error
	// refuse: swaps are lost to somebody else.
	refuse bool
}

func newRemote() *remote { return &remote{sessions: map[string]*Session{}} }

func (r *remote) Get(ctx context.Context, key string) (*Session, error) {
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

func (r *remote) CompareAndSwap(ctx context.Context, key string, old uint64, next *Session, durable bool) (bool, error) {
	if r.onSwap != nil {
		if err := r.onSwap(ctx); err != nil {
			return false, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swaps++
	if durable {
		r.durable++
	}
	version := uint64(0)
	if s := r.sessions[key]; s != nil {
		version = s.Version
	}
	if version != old || r.refuse {
		return false, nil
	}
	r.sessions[key] = next
	return r.unheard == nil, r.unheard
}

func (r *remote) Delete(_ context.Context, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, key)
	return nil
}

func (r *remote) Scan(_ context.Context, fn func(string, *Session) error) error {
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

func TestRemoteIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) Store { return newRemote() })
}

var policy = Policy{Timeout: 30 * 60_000, Retention: 400 * 24 * 3600_000}

// ask sends one message.
func ask(t testing.TB, table *Table, key string, e Event) Decision {
	t.Helper()
	var d [1]Decision
	if err := table.Apply(context.Background(), key, base+1000, &policy, []Event{e}, d[:]); err != nil {
		t.Errorf("%s: %v", brief(e), err)
	}
	return d[0]
}

func startAt(at int64, m MessageID) Event { return Event{Kind: Start, Time: at, Message: m} }
func trackAt(at int64, m MessageID) Event { return Event{Time: at, Message: m} }

// eachTable runs a test over a resident store and one that is not.
func eachTable(t *testing.T, test func(t *testing.T, table *Table)) {
	t.Run("memory", func(t *testing.T) { test(t, NewTable(memorystore.New(), 1000, 0)) })
	t.Run("remote", func(t *testing.T) { test(t, NewTable(newRemote(), 1000, 0)) })
	t.Run("remote, not cached", func(t *testing.T) {
		// The cache holds one session, another key's.
		table := NewTable(newRemote(), 1, 0)
		ask(t, table, "other", startAt(base, 1))
		test(t, table)
	})
}

// together runs f in n goroutines that begin at once.
func together(n int, f func(i int)) {
	var begin, done sync.WaitGroup
	begin.Add(1)
	for i := range n {
		done.Go(func() {
			begin.Wait()
			f(i)
		})
	}
	begin.Done()
	done.Wait()
}

func TestOneOfManyClaimsTheMark(t *testing.T) {
	eachTable(t, func(t *testing.T, table *Table) {
		for round := range int64(20) {
			key := fmt.Sprint("key ", round)
			ask(t, table, key, startAt(base, 1))
			var marks, stamps atomic.Int32
			together(16, func(i int) {
				d := ask(t, table, key, trackAt(base+1, MessageID(2+i)))
				if d.SessionID == base && d.Action == Stamp {
					stamps.Add(1)
				}
				if d.Start {
					marks.Add(1)
				}
			})
			if marks.Load() != 1 || stamps.Load() != 16 {
				t.Fatalf("%d marks on %d of 16 events", marks.Load(), stamps.Load())
			}
		}
	})
}

// Two tables over one store are two processes.
func TestOneOfManyClaimsTheMarkInTwoProcesses(t *testing.T) {
	for range 20 {
		store := newRemote()
		tables := []*Table{NewTable(store, 1000, 0), NewTable(store, 1000, 0)}
		for _, table := range tables {
			ask(t, table, "key", startAt(base, 1))
		}
		var marks atomic.Int32
		together(16, func(i int) {
			if ask(t, tables[i%2], "key", trackAt(base+1, MessageID(2+i))).Start {
				marks.Add(1)
			}
		})
		if marks.Load() != 1 {
			t.Fatalf("%d marks", marks.Load())
		}
	}
}

func TestNoCallIsLost(t *testing.T) {
	eachTable(t, func(t *testing.T, table *Table) {
		const n = 24
		var ids sync.Map
		together(n, func(i int) {
			// Later ones are later: each is current for its millisecond.
			at := base + int64(i)
			ids.Store(ask(t, table, "key", startAt(at, MessageID(1+i))).SessionID, i)
		})
		for i := range int64(n) {
			if _, ok := ids.Load(base + i); !ok {
				t.Errorf("no answer %d", base+i)
			}
		}
		id, err := table.Current(t.Context(), "key", base+n, &policy)
		if id != base+n-1 || err != nil {
			t.Errorf("current is %d, %v", id, err)
		}
	})
}

func TestReleaseInTheTable(t *testing.T) {
	eachTable(t, func(t *testing.T, table *Table) {
		if err := table.Release(t.Context(), "nobody", 1, base); err != nil {
			t.Error(err)
		}
		ask(t, table, "key", startAt(base, 1))
		if !ask(t, table, "key", trackAt(base, 2)).Start {
			t.Error("no mark")
		}
		// The data plane's answers to several events come in together, and
		// among them the one to the marked event.
		together(8, func(i int) {
			if err := table.Release(t.Context(), "key", MessageID(2+i), base); err != nil {
				t.Error(err)
			}
		})
		if !ask(t, table, "key", trackAt(base, 3)).Start || ask(t, table, "key", trackAt(base, 2)).Start {
			t.Error("the mark was not freed")
		}
	})
}

var errDown = errors.New("store is down")

func TestErrorsChangeNothing(t *testing.T) {
	store := newRemote()
	table := NewTable(store, 1000, 0)
	ask(t, table, "known", startAt(base, 1))
	before := store.sessions["known"]
	down := func(context.Context) error { return errDown }

	apply := func(key string, e Event) error {
		return table.Apply(t.Context(), key, base+1000, &policy, []Event{e}, make([]Decision, 1))
	}
	store.onSwap = down
	for name, err := range map[string]error{
		"start of a known key":   apply("known", startAt(base+1, 2)),
		"mark of a known key":    apply("known", trackAt(base+1, 3)),
		"start of a new key":     apply("new", startAt(base, 4)),
		"release of a known key": nil,
	} {
		if name != "release of a known key" && !errors.Is(err, errDown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	store.onGet = down
	if err := apply("unknown", trackAt(base, 5)); !errors.Is(err, errDown) {
		t.Errorf("event of an unknown key: %v", err)
	}
	if err := table.Release(t.Context(), "unknown", 5, base); !errors.Is(err, errDown) {
		t.Errorf("release: %v", err)
	}
	if _, err := table.Current(t.Context(), "unknown", base, &policy); !errors.Is(err, errDown) {
		t.Errorf("current: %v", err)
	}
	store.onGet, store.onSwap = nil, nil
	if len(store.sessions) != 1 || store.sessions["known"] != before {
		t.Errorf("store holds %v", store.sessions)
	}
	// And the table goes on as if nothing had been.
	if d := ask(t, table, "known", trackAt(base+1, 3)); !d.Start || d.SessionID != base {
		t.Errorf("%+v", d)
	}
	store.onSwap = down
	if err := table.Release(t.Context(), "known", 3, base); !errors.Is(err, errDown) {
		t.Errorf("release of a known key: %v", err)
	}
	store.onSwap = nil
	if d := ask(t, table, "known", trackAt(base+1, 3)); !d.Start {
		t.Errorf("%+v", d)
	}
}

// A swap whose answer is lost may have been done: the table is to read again.
func TestSwapOfUnknownOutcome(t *testing.T) {
	store := newRemote()
	table := NewTable(store, 1000, 0)
	store.unheard = errDown
	call := startAt(base, 1)
	err := table.Apply(t.Context(), "key", base, &policy, []Event{call}, make([]Decision, 1))
	if !errors.Is(err, errDown) {
		t.Error(err)
	}
	store.unheard = nil
	if d := ask(t, table, "key", call); !d.Repeated || d.SessionID != base {
		t.Errorf("%+v", d)
	}
	store.unheard = errDown
	err = table.Apply(t.Context(), "key", base, &policy, []Event{trackAt(base, 2)}, make([]Decision, 1))
	if !errors.Is(err, errDown) {
		t.Error(err)
	}
	store.unheard = nil
	if ask(t, table, "key", trackAt(base, 3)).Start || !ask(t, table, "key", trackAt(base, 2)).Start {
		t.Error("the mark was given twice")
	}
}

// A deadly slow store is given up at the deadline; known sessions never wait.
func TestDeadline(t *testing.T) {
	store := newRemote()
	table := NewTable(store, 1000, time.Millisecond)
	wait := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	ask := func(key string, e Event) error {
		return table.Apply(context.Background(), key, base, &policy, []Event{e}, make([]Decision, 1))
	}
	store.onGet = wait
	if err := ask("key", trackAt(base, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("get: %v", err)
	}
	store.onGet, store.onSwap = nil, wait
	if err := ask("key", startAt(base, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("swap: %v", err)
	}
	store.onSwap = nil
	table = NewTable(store, 1000, time.Hour)
	for _, e := range []Event{startAt(base, 1), trackAt(base, 2)} {
		if err := ask("key", e); err != nil {
			t.Fatal(err)
		}
	}
	store.onGet, store.onSwap = wait, wait
	if err := ask("key", trackAt(base, 3)); err != nil {
		t.Errorf("known session: %v", err)
	}
}

func TestEachCallHasItsOwnDeadline(t *testing.T) {
	for deadline, want := range map[time.Duration]bool{0: false, time.Hour: true} {
		store := newRemote()
		calls := 0
		store.onGet = func(ctx context.Context) error {
			calls++
			if _, has := ctx.Deadline(); has != want {
				t.Errorf("deadline %v: the call has one: %v", deadline, has)
			}
			return nil
		}
		store.onSwap = store.onGet
		ask(t, NewTable(store, 1000, deadline), "key", startAt(base, 1))
		if calls != 2 {
			t.Errorf("%d calls", calls)
		}
	}
}

func TestCancelledRequest(t *testing.T) {
	store := newRemote()
	store.onSwap = func(ctx context.Context) error { return ctx.Err() }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := NewTable(store, 1000, time.Hour).Apply(ctx, "key", base, &policy, []Event{startAt(base, 1)}, make([]Decision, 1))
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestContended(t *testing.T) {
	store := newRemote()
	table := NewTable(store, 1000, 0)
	ask(t, table, "key", startAt(base, 1))
	ask(t, table, "key", trackAt(base, 2))
	store.refuse = true
	err := table.Apply(t.Context(), "key", base, &policy, []Event{startAt(base, 3)}, make([]Decision, 1))
	if !errors.Is(err, ErrContended) {
		t.Error(err)
	}
	if err := table.Release(t.Context(), "key", 2, base); !errors.Is(err, ErrContended) {
		t.Error(err)
	}
	if err := table.Release(t.Context(), "key", 3, base); err != nil {
		t.Errorf("nothing to release: %v", err)
	}
}

func TestKnownSessionsAreNotAskedFor(t *testing.T) {
	store := newRemote()
	table := NewTable(store, 1000, 0)
	ask(t, table, "key", startAt(base, 1))
	ask(t, table, "key", trackAt(base, 2))
	if store.gets != 1 || store.swaps != 2 || store.durable != 1 {
		t.Errorf("%d gets, %d swaps, %d durable", store.gets, store.swaps, store.durable)
	}
	for i := range MessageID(50) {
		ask(t, table, "key", trackAt(base+1, 10+i))
	}
	if store.gets != 1 || store.swaps != 2 {
		t.Errorf("%d gets, %d swaps", store.gets, store.swaps)
	}
	// One that another process wrote is read once.
	table = NewTable(store, 1000, 0)
	for i := range MessageID(50) {
		ask(t, table, "key", trackAt(base+1, 10+i))
	}
	if store.gets != 2 || store.swaps != 2 {
		t.Errorf("%d gets, %d swaps", store.gets, store.swaps)
	}
}

func TestAnotherProcessIsNoticedAtAChange(t *testing.T) {
	store := newRemote()
	here, there := NewTable(store, 1000, 0), NewTable(store, 1000, 0)
	ask(t, here, "key", startAt(base, 1))
	ask(t, there, "key", Event{Kind: End, Time: base + 10, Message: 2})
	if d := ask(t, here, "key", trackAt(base+20, 3)); d.Action != Clear {
		t.Errorf("%+v", d)
	}
}

func TestCloseClosesTheStore(t *testing.T) {
	store := newRemote()
	if err := NewTable(store, 1, 0).Close(); err != nil || !store.closed {
		t.Error(err, store.closed)
	}
}

func TestTableIsBounded(t *testing.T) {
	for name, store := range map[string]Store{"memory": memorystore.New(), "remote": newRemote()} {
		t.Run(name, func(t *testing.T) {
			table := NewTable(store, 10, 0)
			start := func(from, to int) {
				for i := from; i < to; i++ {
					ask(t, table, fmt.Sprint("key ", i), startAt(base, 1))
				}
			}
			check := func(want int) {
				t.Helper()
				if got := table.Len(); got != want {
					t.Errorf("%d sessions, want %d", got, want)
				}
			}
			check(0)
			start(0, 5)
			check(5)
			start(0, 50)
			check(10)
			table.Resize(3)
			check(3)
			table.Resize(100)
			check(3)
			start(50, 250)
			check(100)
		})
	}
}

// The cache itself.

func version(n uint64) *Session { return &Session{Version: n} }

func fill(c *Cache, from, to int) {
	for i := from; i < to; i++ {
		c.Swap(fmt.Sprint("key ", i), 0, version(1))
	}
}

// has reports which of the keys are in a cache, without using them.
func has(c *Cache, from, to int) (n int) {
	in := map[string]bool{}
	_ = c.Each(func(key string, _ *Session) error {
		in[key] = true
		return nil
	})
	for i := from; i < to; i++ {
		if in[fmt.Sprint("key ", i)] {
			n++
		}
	}
	return n
}

func TestCacheKeepsTheMostRecentlyUsed(t *testing.T) {
	c := NewCache(100)
	fill(c, 0, 100)
	for i := range 10 {
		c.Get(fmt.Sprint("key ", i)) // read
	}
	for i := 10; i < 20; i++ {
		c.Swap(fmt.Sprint("key ", i), 1, version(2)) // written
	}
	fill(c, 100, 130)
	if has(c, 0, 20) != 20 || has(c, 20, 50) != 0 || has(c, 50, 130) != 80 {
		t.Error("others than the least recently used were evicted")
	}
	if c.Len() != 100 || c.Evicted() != 30 {
		t.Errorf("%d kept, %d evicted", c.Len(), c.Evicted())
	}
	c.Resize(40)
	if has(c, 10, 20) != 10 || has(c, 100, 130) != 30 || c.Len() != 40 || c.Evicted() != 90 {
		t.Errorf("%d kept, %d evicted", c.Len(), c.Evicted())
	}
	c.Resize(200)
	fill(c, 130, 290)
	if has(c, 10, 20) != 10 || has(c, 100, 290) != 190 {
		t.Errorf("%d kept", c.Len())
	}
	c.Resize(0)
	if c.Len() != 1 || has(c, 289, 290) != 1 {
		t.Errorf("%d kept", c.Len())
	}
}

func TestCacheAcrossTheShardThreshold(t *testing.T) {
	c := NewCache(100)
	fill(c, 0, 100)
	for _, capacity := range []int{100_000, 1 << 20, 1000, 1<<16 - 1, 1 << 16, 100} {
		c.Resize(capacity)
		if has(c, 0, 100) != 100 || c.Len() != 100 || c.Evicted() != 0 {
			t.Fatalf("capacity %d: %d kept, %d evicted", capacity, c.Len(), c.Evicted())
		}
		for i := range 100 {
			key := fmt.Sprint("key ", i)
			if s := c.Get(key); s == nil || !c.Swap(key, s.Version, version(s.Version+1)) {
				t.Fatalf("capacity %d: %s is %+v", capacity, key, s)
			}
		}
	}
	// The order of use goes along.
	c = NewCache(100)
	fill(c, 0, 100)
	c.Get("key 0")
	c.Resize(100_000)
	c.Get("key 1")
	c.Resize(101)
	c.Get("key 2")
	c.Resize(10)
	if has(c, 2, 3) != 1 || c.Len() != 10 || c.Evicted() != 90 {
		t.Errorf("%d kept, %d evicted", c.Len(), c.Evicted())
	}
}

func TestShardedCacheIsBounded(t *testing.T) {
	const capacity = 1 << 16
	c := NewCache(2 * capacity)
	fill(c, 0, 3*capacity)
	c.Resize(capacity)
	if c.Len() > capacity || c.Len() < capacity*9/10 || c.Len()+int(c.Evicted()) != 3*capacity {
		t.Errorf("%d kept, %d evicted", c.Len(), c.Evicted())
	}
	// Old ones go, new ones stay; between the two it is up to the shards.
	if has(c, 0, capacity) != 0 || has(c, 3*capacity-capacity/2, 3*capacity) != capacity/2 {
		t.Errorf("%d of the oldest, %d of the newest", has(c, 0, capacity), has(c, 3*capacity-capacity/2, 3*capacity))
	}
	c.Resize(100)
	if c.Len() != 100 {
		t.Errorf("%d kept", c.Len())
	}
}

func TestCacheCompares(t *testing.T) {
	c := NewCache(10)
	if c.Swap("key", 1, version(2)) || !c.Swap("key", 0, version(1)) || c.Swap("key", 0, version(2)) ||
		c.Swap("key", 2, version(3)) || !c.Swap("key", 1, version(5)) {
		t.Error("swapped the wrong one")
	}
	c.Put("key", version(4))
	if got := c.Get("key"); got.Version != 5 {
		t.Errorf("an older version took the place: %d", got.Version)
	}
	c.Put("key", version(6))
	c.Put("other", version(1))
	if c.Get("key").Version != 6 || c.Get("other").Version != 1 {
		t.Error("a newer version was not put")
	}
	c.Remove("key")
	c.Remove("nobody")
	if c.Get("key") != nil || c.Len() != 1 {
		t.Error("not removed")
	}
}

func TestCacheEachStops(t *testing.T) {
	c := NewCache(10)
	fill(c, 0, 10)
	calls := 0
	if err := c.Each(func(string, *Session) error { calls++; return errDown }); err != errDown || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// What is kept of a key must not keep the request alive that it came with.
func TestCacheCopiesKeys(t *testing.T) {
	request := strings.Repeat("x", 1000) + "key" + strings.Repeat("x", 1000)
	key := request[1000:1003]
	c := NewCache(10)
	c.Swap(key, 0, version(1))
	c.Swap(key, 1, version(2))
	c.Put(key, version(3))
	_ = c.Each(func(kept string, _ *Session) error {
		if kept != "key" || unsafe.StringData(kept) == unsafe.StringData(key) {
			t.Errorf("%q is a part of the request", kept)
		}
		return nil
	})
}

// While a cache is resized under them, writers lose nothing: what each has
// written is what it finds, as long as there is room.
func TestCacheResizedUnderWriters(t *testing.T) {
	const writers, rounds = 4, 2000
	c := NewCache(1000)
	var stop atomic.Bool
	var others sync.WaitGroup
	others.Go(func() {
		for capacities := []int{100_000, 1000, 5000, 1 << 17, 500}; !stop.Load(); {
			for _, capacity := range capacities {
				c.Resize(capacity)
			}
		}
	})
	others.Go(func() {
		for !stop.Load() {
			if n := c.Len(); n > 2*writers {
				t.Errorf("%d sessions", n)
			}
			_ = c.Each(func(string, *Session) error { return nil })
		}
	})
	together(writers, func(i int) {
		own := fmt.Sprint("writer ", i)
		for n := range uint64(rounds) {
			if !c.Swap(own, n, version(n+1)) {
				t.Errorf("%s: %d is gone", own, n)
				return
			}
			if s := c.Get(own); s == nil || s.Version != n+1 {
				t.Errorf("%s: %+v after %d", own, s, n+1)
				return
			}
			// One that all of them change.
			for {
				s, old := c.Get("shared"), uint64(0)
				if s != nil {
					old = s.Version
				}
				if c.Swap("shared", old, version(old+1)) {
					break
				}
			}
		}
	})
	stop.Store(true)
	others.Wait()
	if s := c.Get("shared"); s == nil || s.Version != writers*rounds {
		t.Errorf("%d changes are %+v", writers*rounds, s)
	}
	if c.Evicted() != 0 {
		t.Errorf("%d evicted", c.Evicted())
	}
}

// With too little room sessions vanish, and nothing else goes wrong.
func TestCacheShrunkUnderWriters(t *testing.T) {
	c := NewCache(100_000)
	var stop atomic.Bool
	var resizer sync.WaitGroup
	resizer.Go(func() {
		for !stop.Load() {
			for _, capacity := range []int{1, 100_000, 50} {
				c.Resize(capacity)
			}
		}
	})
	together(4, func(i int) {
		for n := range 3000 {
			key := fmt.Sprint("key ", (n*7+i)%200)
			old := uint64(0)
			if s := c.Get(key); s != nil {
				old = s.Version
			}
			c.Swap(key, old, version(old+1))
			if n%10 == 0 {
				c.Remove(key)
			}
		}
	})
	stop.Store(true)
	resizer.Wait()
	c.Resize(50)
	keys := map[string]bool{}
	_ = c.Each(func(key string, s *Session) error {
		keys[key] = s != nil
		return nil
	})
	if len(keys) != c.Len() || c.Len() > 50 || slices.Contains(slices.Collect(maps.Values(keys)), false) {
		t.Errorf("%d sessions under %d keys", c.Len(), len(keys))
	}
}

func TestVersionsDoNotWrap(t *testing.T) {
	c := NewCache(1)
	c.Swap("key", 0, version(math.MaxUint64-1))
	if !c.Swap("key", math.MaxUint64-1, version(math.MaxUint64)) {
		t.Error("not swapped")
	}
}
