package sessionstate_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func version(n session.Version) *session.Session { return &session.Session{Version: n} }

func fill(c *Cache, from, to int) {
	one := version(1)
	for i := from; i < to; i++ {
		c.Swap("key "+strconv.Itoa(i), 0, one)
	}
}

// numbered returns the keys with a name and a number from 0 to n-1.
func numbered(name string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = name + strconv.Itoa(i)
	}
	return keys
}

// has counts the keys that are in a cache, without marking them as used.
func has(c *Cache, from, to int) (n int) {
	_ = c.Each(func(key string, _ *session.Session) error {
		if i, err := strconv.Atoi(strings.TrimPrefix(key, "key ")); err == nil && i >= from && i < to {
			n++
		}
		return nil
	})
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
	// Keys that were used again are evicted last.
	c.Resize(40)
	if has(c, 0, 20) != 20 || has(c, 110, 130) != 20 || c.Len() != 40 || c.Evicted() != 90 {
		t.Errorf("%d kept, %d evicted", c.Len(), c.Evicted())
	}
	c.Resize(200)
	fill(c, 130, 300)
	if has(c, 0, 20) != 20 || has(c, 120, 300) != 180 {
		t.Errorf("%d kept", c.Len())
	}
	// They take at most four fifths of the capacity.
	c.Resize(10)
	if has(c, 12, 20) != 8 || c.Len() != 10 {
		t.Errorf("%d kept", c.Len())
	}
	c.Resize(0)
	if c.Len() != 1 {
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
	// Resizing keeps the order of use.
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
	c := NewCache(capacity * 5 / 4)
	fill(c, 0, 2*capacity)
	c.Resize(capacity)
	if c.Len() > capacity || c.Len() < capacity*9/10 || c.Len()+int(c.Evicted()) != 2*capacity {
		t.Errorf("%d kept, %d evicted", c.Len(), c.Evicted())
	}
	// Old keys are evicted, new ones stay; for those in between it depends on the
	// shards.
	if old, recent := has(c, 0, capacity/2), has(c, 2*capacity-capacity/2, 2*capacity); old != 0 || recent != capacity/2 {
		t.Errorf("%d of the oldest, %d of the newest", old, recent)
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
	c.Put("key", version(6))
	c.Put("key", version(4))
	c.Put("other", version(1))
	if c.Get("key").Version != 4 || c.Get("other").Version != 1 {
		t.Error("what was put is not there")
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
	if err := c.Each(func(string, *session.Session) error { calls++; return errDown }); !errors.Is(err, errDown) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// A cached key must not keep the memory of its request alive.
func TestCacheCopiesKeys(t *testing.T) {
	request := strings.Repeat("x", 1000) + "key" + strings.Repeat("x", 1000)
	key := request[1000:1003]
	c := NewCache(10)
	c.Swap(key, 0, version(1))
	c.Swap(key, 1, version(2))
	c.Put(key, version(3))
	_ = c.Each(func(kept string, _ *session.Session) error {
		if kept != "key" || unsafe.StringData(kept) == unsafe.StringData(key) {
			t.Errorf("%q is a part of the request", kept)
		}
		return nil
	})
}

// While a cache is resized, concurrent writers lose nothing: each finds what it has
// written, as long as there is room.
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
			_ = c.Each(func(string, *session.Session) error { return nil })
		}
	})
	sessiontest.Together(writers, func(i int) {
		own := fmt.Sprint("writer ", i)
		for n := range session.Version(rounds) {
			if !c.Swap(own, n, version(n+1)) {
				t.Errorf("%s: %d is gone", own, n)
				return
			}
			if s := c.Get(own); s == nil || s.Version != n+1 {
				t.Errorf("%s: %+v after %d", own, s, n+1)
				return
			}
			// A key that all of them change.
			for {
				s, old := c.Get("shared"), session.Version(0)
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

// With too little room sessions are evicted, and nothing else goes wrong.
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
	sessiontest.Together(4, func(i int) {
		for n := range 3000 {
			key := fmt.Sprint("key ", (n*7+i)%200)
			old := session.Version(0)
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
	_ = c.Each(func(key string, s *session.Session) error {
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

func TestCacheCleared(t *testing.T) {
	for _, capacity := range []int{10, 1 << 17} {
		c := NewCache(capacity)
		fill(c, 0, 10)
		c.Clear()
		if c.Len() != 0 || has(c, 0, 10) != 0 {
			t.Errorf("%d kept", c.Len())
		}
		fill(c, 0, 10)
		if c.Len() != 10 {
			t.Errorf("%d kept", c.Len())
		}
		// The capacity is the same as before.
		c.Clear()
		fill(c, 0, 20)
		if want := min(capacity, 20); c.Len() != want {
			t.Errorf("%d kept, want %d", c.Len(), want)
		}
	}
}
