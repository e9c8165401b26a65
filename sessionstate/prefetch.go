package sessionstate

import (
	"hash/maphash"
	"unsafe"
)

// The events of a batch are of many users, whose sessions are in no cache of the
// processor's: each look-up would wait for memory three times. Those of a batch
// wait together. With the index that takes a quarter off what an event of such a
// batch costs, and half among a million sessions (BenchmarkSessions in enrich).

// abreast is for how many keys memory is waited for at the same time.
const abreast = 32

// Prefetch has the processor fetch what is cached of keys that are about to be
// looked up.
func (c *Cache) Prefetch(keys []string) {
	var hashes [abreast]uint64
	for len(keys) > 0 {
		some := keys[:min(len(keys), abreast)]
		for i, key := range some {
			hashes[i] = maphash.String(c.seed, key)
			s := c.lockHash(hashes[i])
			s.prefetchPlace(tag(hashes[i]))
			s.mu.Unlock()
		}
		for i := range some {
			s := c.lockHash(hashes[i])
			s.prefetchItem(tag(hashes[i]))
			s.mu.Unlock()
		}
		keys = keys[len(some):]
	}
}

func (x *index) prefetchPlace(hash uint32) {
	if x.n > 0 {
		prefetch(uintptr(unsafe.Pointer(x.place(hash))))
	}
}

// prefetchItem does so for an item, most of which are two lines of memory long,
// and its entry. That it is not the item of another key is not asked.
func (x *index) prefetchItem(hash uint32) {
	for i := hash; x.n > 0; i++ {
		p := x.place(i)
		if p.entry == 0 {
			return
		}
		if p.hash == hash {
			at := uintptr(unsafe.Pointer(p.item.bytes))
			prefetch(at)
			prefetch(at + 64)
			prefetch(uintptr(unsafe.Pointer(x.at(p.entry))))
			return
		}
	}
}

// Prefetch has the processor fetch what is in memory of keys that are about to be
// asked about.
func (t *Table) Prefetch(keys []string) {
	switch {
	case t.resident != nil:
		t.resident.Prefetch(keys)
	case t.cache != nil:
		t.cache.Prefetch(keys)
	}
}
