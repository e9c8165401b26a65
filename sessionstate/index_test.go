package sessionstate

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestIndex adds and removes keys whose hashes collide, and lie at the end of the
// places, and finds the same as in a map, the place of each entry among it.
func TestIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var x index
	refs := map[string]ref{}
	hash := func(i int) uint32 { return uint32(i%7) - 3 }
	for step := range 200_000 {
		// Many come, many go, and many come again.
		i := r.IntN(600)
		if step/5000%2 == 1 {
			i = r.IntN(40)
		}
		key := fmt.Sprint("key ", i)
		known, there := refs[key]
		p := x.find(key, hash(i))
		switch {
		case there != (p != nil):
			t.Fatalf("step %d: found is %v, not %v", step, p != nil, there)
		case !there && r.IntN(3) > 0:
			refs[key] = x.add(newItem(key, absent), hash(i))
		case there && (p.entry != known || p.item.key() != key || x.placeOf(known) != p):
			t.Fatalf("step %d: another place was found", step)
		case there && r.IntN(2) > 0:
			x.remove(known)
			delete(refs, key)
		}
		if x.n != len(refs) {
			t.Fatalf("step %d: %d, not %d", step, x.n, len(refs))
		}
	}
	if most := 4 * 1024; len(x.places) > most || len(x.blocks) > 600/blockSize+1 {
		t.Errorf("%d places and %d blocks for 600 keys", len(x.places), len(x.blocks))
	}
}

// TestItem: what is put together comes apart again, whatever its lengths.
func TestItem(t *testing.T) {
	long := &Session{Version: 1 << 40, Seen: 5}
	for i := range session.MaxValues {
		long.Links = append(long.Links, session.Interval[string]{Value: string(make([]byte, 200+i)), From: int64(i), Last: int64(i)})
	}
	for _, s := range []*Session{absent, {Version: 7, Seen: 8}, long} {
		for _, n := range []int{0, 1, 71, 127, 128, 515, 16383, 16384, 70_000} {
			name := string(make([]byte, n))
			key, form := newItem(name, s).parts()
			if key != name {
				t.Fatalf("a key of %d bytes has %d", n, len(key))
			}
			if s == absent {
				if len(form) != 0 {
					t.Errorf("%d bytes of nothing", len(form))
				}
				continue
			}
			got, err := DecodeSession(form)
			if err != nil || got.Version != s.Version || len(got.Links) != len(s.Links) || newItem(name, s).version() != s.Version {
				t.Errorf("%+v, %v", got, err)
			}
		}
	}
}

// TestPrefetch: it finds nothing out and changes nothing, whatever is asked for.
func TestPrefetch(t *testing.T) {
	c := NewCache(shardedFrom)
	c.Prefetch([]string{"unknown"})
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprint("key ", i))
		c.Put(keys[i], &Session{Version: session.Version(1 + i)})
		c.Remove(fmt.Sprint("key ", i-50))
	}
	c.Prefetch(nil)
	c.Prefetch(append(keys, "unknown", ""))
	if hits, misses, evicted := c.Stats(); hits+misses+evicted != 0 {
		t.Errorf("counted as look-ups: %d, %d, %d", hits, misses, evicted)
	}
	if c.Len() != 50 || c.Get(keys[99]).Version != 100 || c.Get(keys[0]) != nil {
		t.Error("something has changed")
	}
}
