package sessionstate_test

import (
	"fmt"
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// A flood of keys that come once, or several times in a row, does not evict a key that
// is used again before a tenth of the capacity has arrived in new keys.
func TestFloodSparesWhatIsInUse(t *testing.T) {
	for capacity, n := range map[int]int{10: 50, 100: 500, 1000: 5000, 1 << 16: 100_000} {
		keys := numbered("key ", max(capacity/10, 1))
		flood := numbered("flood ", n)
		for uses := 1; uses <= 3; uses++ {
			t.Run(fmt.Sprintf("capacity %d, %d uses", capacity, uses), func(t *testing.T) {
				c, one := NewCache(capacity), version(1)
				active := len(keys)
				fill(c, 0, active)
				// The shards do not fill evenly: in the smallest it is less than a tenth.
				often := max(capacity/20, 1)
				var into session.Session
				for i, key := range flood {
					c.Put(key, one)
					for range uses - 1 {
						c.Load(key, &into)
					}
					if (i+1)%often == 0 {
						for _, key := range keys {
							c.Load(key, &into)
						}
					}
				}
				if n := has(c, 0, active); n != active {
					t.Errorf("%d of %d in use are left", n, active)
				}
				if c.Len() > capacity {
					t.Errorf("%d sessions", c.Len())
				}
				if _, _, evicted := c.Stats(); evicted < uint64(capacity)/2 {
					t.Errorf("%d evicted: the flood is too small", evicted)
				}
				for _, key := range keys {
					if !c.InUse(key) {
						t.Fatalf("%s is on probation", key)
					}
				}
			})
		}
	}
}

// Keys that come back later replace the least recently used ones: users behave like
// that.
func TestKeysThatComeBackAreUsers(t *testing.T) {
	c := NewCache(100)
	fill(c, 0, 80)
	fill(c, 1000, 1020)
	for i := range 80 {
		c.Get(fmt.Sprint("key ", i))
	}
	for from := 2000; from < 2400; from += 10 {
		fill(c, from, from+10)
		for i := range 10 {
			c.Get(fmt.Sprint("key ", from-10+i))
		}
	}
	if n := has(c, 0, 80); n != 0 || c.Len() != 100 {
		t.Errorf("%d are left of %d", n, c.Len())
	}
}

func TestCacheStats(t *testing.T) {
	c := NewCache(10)
	fill(c, 0, 12)
	for i := range 12 {
		c.Get(fmt.Sprint("key ", i))
	}
	for _, capacity := range []int{10, 1 << 17, 10} {
		c.Resize(capacity)
		if hits, misses, evictions := c.Stats(); hits != 10 || misses != 2 || evictions != 2 {
			t.Errorf("%d hits, %d misses, %d evictions", hits, misses, evictions)
		}
	}
}
