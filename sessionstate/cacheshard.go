package sessionstate

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cacheShard is a part of the cache with a lock of its own. It is a segmented LRU
// (SLRU): two LRUs, so that keys that are used only once, however many, do not evict
// keys that are used again.
//
// A new key is on probation. Only keys on probation are evicted, the least recently
// used first. A use moves a key to the protected LRU if at least minProbation/2 new
// keys were added since the key itself was. An earlier use belongs to the same visit
// (a startSession and the events after it), and does not show that the user comes
// back. If the protected LRU is full, its least recently used key goes back on
// probation.
//
// So a key stays if it is used at least once in the time in which new keys, a tenth of
// the shard's capacity, are added; provided that the keys used so often are at most
// four fifths of the capacity.
//
// Both LRUs are keyed by the seeded hash of the session key: a map without strings is
// smaller and faster. Two keys with the same hash share a slot: while one is cached,
// the other is a miss.
type cacheShard struct {
	mu sync.Mutex
	// capacity is how many keys fit; those that are not protected are on probation.
	capacity             int
	probation, protected *entryLRU
	// arrivals counts new keys; it wraps around.
	arrivals uint32
	counters cacheCounters
	// moved: the sessions are in other shards now.
	moved bool
	_     [64]byte // keeps shards off each other's cache lines
}

type entryLRU = simplelru.LRU[uint64, cacheEntry]

type cacheCounters struct{ hits, misses, evictions uint64 }

func (c *cacheCounters) add(more cacheCounters) {
	c.hits += more.hits
	c.misses += more.misses
	c.evictions += more.evictions
}

// newEntryLRU sets no eviction callback, because Remove would call it too. The results
// of Add and Resize count only evictions.
func newEntryLRU(size int) *entryLRU {
	l, err := simplelru.NewLRU[uint64, cacheEntry](max(size, 1), nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return l
}

// reset forgets all keys.
func (s *cacheShard) reset(capacity int) {
	s.capacity = capacity
	s.probation, s.protected = newEntryLRU(capacity), newEntryLRU(s.maxProtected())
}

// minProbation is how many keys are on probation in a full shard, at least.
func (s *cacheShard) minProbation() int { return max(s.capacity/5, 1) }

func (s *cacheShard) maxProtected() int { return s.capacity - s.minProbation() }

func (s *cacheShard) len() int { return s.probation.Len() + s.protected.Len() }

// peek returns the entry of a key without marking it as used.
func (s *cacheShard) peek(hash uint64, key string) (e cacheEntry, isProtected, found bool) {
	if e, isProtected = s.protected.Peek(hash); !isProtected {
		e, found = s.probation.Peek(hash)
	}
	return e, isProtected, (isProtected || found) && e.hasKey(key)
}

// use returns the entry of a key and marks it as used.
func (s *cacheShard) use(hash uint64, key string) (cacheEntry, bool) {
	if e, ok := s.protected.Get(hash); ok {
		return e, e.hasKey(key)
	}
	e, ok := s.probation.Get(hash)
	if !ok || !e.hasKey(key) {
		return cacheEntry{}, false
	}
	if s.arrivals-e.arrival >= uint32(s.minProbation()/2) {
		s.protect(hash, e)
	}
	return e, true
}

// protect moves a key from probation to the protected LRU.
func (s *cacheShard) protect(hash uint64, e cacheEntry) {
	if s.maxProtected() == 0 {
		return // a shard of one key
	}
	s.probation.Remove(hash)
	s.addProtected(hash, e)
}

// addProtected makes room for a key in the protected LRU, and adds it.
func (s *cacheShard) addProtected(hash uint64, e cacheEntry) {
	s.demote(s.maxProtected() - 1)
	s.protected.Add(hash, e)
	s.evict()
}

// demote puts protected keys back on probation until at most n are left.
func (s *cacheShard) demote(n int) {
	for s.protected.Len() > n {
		hash, e, _ := s.protected.RemoveOldest()
		e.arrival = s.arrivals
		s.probation.Resize(s.probation.Len() + 1) // evict restores the bound
		s.probation.Add(hash, e)
	}
}

// evict evicts keys on probation until the shard is within its capacity.
func (s *cacheShard) evict() {
	s.counters.evictions += uint64(s.probation.Resize(s.capacity - s.protected.Len()))
}

// set caches an entry, replacing whatever is cached under its hash.
func (s *cacheShard) set(hash uint64, e cacheEntry) {
	if s.protected.Contains(hash) {
		s.protected.Add(hash, e)
		return
	}
	if old, ok := s.probation.Peek(hash); ok && string(old.text[:old.keyLength]) == string(e.text[:e.keyLength]) {
		e.arrival = old.arrival
	} else {
		s.arrivals++
		e.arrival = s.arrivals
	}
	if s.probation.Add(hash, e) {
		s.counters.evictions++
	}
}

func (s *cacheShard) remove(hash uint64, key string) {
	_, isProtected, found := s.peek(hash, key)
	switch {
	case !found:
	case isProtected:
		s.protected.Remove(hash)
		s.evict() // resizes the probation LRU: it may use the freed capacity
	default:
		s.probation.Remove(hash)
	}
}

func (s *cacheShard) resize(capacity int) {
	s.capacity = capacity
	s.demote(s.maxProtected())
	s.protected.Resize(max(s.maxProtected(), 1))
	s.evict()
}

// copyTo copies the entries to the shards of another capacity, the most recently used
// last. This shard stays as it is, because readers may still have a pointer to it.
func (s *cacheShard) copyTo(shardOf func(hash uint64) *cacheShard) {
	for _, hash := range s.probation.Keys() {
		e, _ := s.probation.Peek(hash)
		to := shardOf(hash)
		e.arrival = to.arrivals
		if to.probation.Add(hash, e) {
			to.counters.evictions++
		}
	}
	for _, hash := range s.protected.Keys() {
		e, _ := s.protected.Peek(hash)
		if to := shardOf(hash); to.maxProtected() > 0 {
			to.addProtected(hash, e)
		} else if to.probation.Add(hash, e) {
			to.counters.evictions++
		}
	}
}

// entries returns what is cached, in the order in which it would be evicted.
func (s *cacheShard) entries() []cacheEntry {
	return append(s.probation.Values(), s.protected.Values()...)
}
