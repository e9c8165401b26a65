package sessionstate

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestShardAgainstMap adds, uses and removes keys, some of which have the same hash,
// and resizes the shard: a look-up finds what was set last, the bounds hold, and every
// key that disappears without being removed is counted as evicted.
func TestShardAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var s cacheShard
	s.reset(100)
	latest := map[string]uint64{} // version by key
	added, removed := 0, 0
	has := func(key string, hash uint64) bool {
		_, _, found := s.peek(hash, key)
		return found
	}
	for step := range uint64(50_000) {
		i := r.IntN(300)
		key, hash := fmt.Sprint("key ", i), uint64(i)
		switch action := r.IntN(1000); {
		case action == 0:
			s.resize(1 + r.IntN(200))
		case action < 300:
			if !has(key, hash) {
				added++
			}
			latest[key] = step + 1
			s.use(hash, key)
			s.set(hash, newCacheEntry(key, &session.Session{Version: session.Version(step + 1)}))
		case action < 330:
			if has(key, hash) {
				removed++
			}
			s.remove(hash, key)
			if has(key, hash) {
				t.Fatalf("step %d: %s is still there", step, key)
			}
		default:
			there := has(key, hash)
			e, found := s.use(hash, key)
			if found != there || found && (e.key() != key || uint64(e.version()) != latest[key]) {
				t.Fatalf("step %d: found %v (%v) version %d, not %d", step, found, there, e.version(), latest[key])
			}
		}
		if s.len() > s.capacity || s.protected.Len() > s.maxProtected() {
			t.Fatalf("step %d: %d protected of %d in a shard of %d", step, s.protected.Len(), s.len(), s.capacity)
		}
		if want := added - removed - s.len(); int(s.counters.evictions) != want {
			t.Fatalf("step %d: %d evictions counted of %d", step, s.counters.evictions, want)
		}
	}
	if s.protected.Len() == 0 || s.counters.evictions == 0 || removed == 0 {
		t.Errorf("%d protected, %d evicted, %d removed: too few to show anything", s.protected.Len(), s.counters.evictions, removed)
	}
}

// TestShardCollision: of two keys with the same hash, only the one set last is found.
func TestShardCollision(t *testing.T) {
	for _, protected := range []bool{false, true} {
		var s cacheShard
		s.reset(10)
		first, second := newCacheEntry("first", &session.Session{Version: 1}), newCacheEntry("second", &session.Session{Version: 2})
		s.set(7, first)
		if protected {
			s.protect(7, first)
		}
		finds := func(key string, want bool) {
			t.Helper()
			_, isProtected, peeked := s.peek(7, key)
			if e, used := s.use(7, key); used != want || peeked != want || want && e.key() != key {
				t.Errorf("protected %v: %s is found: %v, %v", protected, key, peeked, used)
			}
			if isProtected != protected {
				t.Errorf("protected is %v, not %v", isProtected, protected)
			}
		}
		finds("first", true)
		finds("second", false)
		s.remove(7, "second") // is not there
		finds("first", true)
		s.set(7, second)
		finds("first", false)
		finds("second", true)
		if s.len() != 1 {
			t.Errorf("%d cached", s.len())
		}
	}
}

// TestCacheEntry: key and session are decoded again, whatever their lengths.
func TestCacheEntry(t *testing.T) {
	long := &session.Session{Version: 1 << 40, Seen: 5}
	for i := range session.MaxValues {
		long.Links = append(long.Links, session.Interval[string]{Value: string(make([]byte, 200+i)), From: int64(i), Last: int64(i)})
	}
	for _, s := range []*session.Session{absent, {Version: 7, Seen: 8}, long} {
		for _, n := range []int{0, 1, 71, 128, 16384, 70_000} {
			key := string(make([]byte, n))
			e := newCacheEntry(key, s)
			if !e.hasKey(key) || e.hasKey(key+"x") || e.key() != key {
				t.Errorf("a key of %d bytes is not the same", n)
			}
			if s == absent {
				if len(e.form()) != 0 || e.version() != 0 {
					t.Errorf("%d bytes of nothing", len(e.form()))
				}
				continue
			}
			got, err := session.Decode(e.form())
			if err != nil || got.Version != s.Version || len(got.Links) != len(s.Links) || e.version() != s.Version {
				t.Errorf("%+v, %v", got, err)
			}
		}
	}
}

// TestCacheLoadAllocatesNothing: in the probation or the protected segment, found or
// not.
func TestCacheLoadAllocatesNothing(t *testing.T) {
	c := NewCache(shardedFrom)
	s := &session.Session{Version: 1, Seen: 2, Segments: []session.Segment{{From: session.At(1), Mode: session.Manual, ID: session.MinID}}}
	keys := []string{"probation", "protected"}
	for _, key := range keys {
		c.Put(key, s)
	}
	shard, hash := c.lock("protected")
	e, _ := shard.use(hash, "protected")
	shard.protect(hash, e)
	shard.mu.Unlock()
	if c.InUse("probation") || !c.InUse("protected") {
		t.Fatal("keys are not where they are to be")
	}
	var into session.Session
	c.Load("protected", &into)
	for _, key := range append(keys, "unknown") {
		if n := testing.AllocsPerRun(100, func() { c.Load(key, &into) }); n != 0 {
			t.Errorf("%s: %v allocations", key, n)
		}
	}
}
