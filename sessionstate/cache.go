package sessionstate

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Cache is an LRU cache of a limited number of sessions, split into shards so that
// look-ups rarely wait for each other. Sessions that are used only once do not evict
// those that are used again (see [cacheShard]).
//
// It keeps sessions in their stored form, which takes a third of the memory and
// contains fewer pointers for the garbage collector to follow.
type Cache struct {
	seed   maphash.Seed
	shards atomic.Pointer[[]*cacheShard]
	resize sync.Mutex
	// past is the sum of the counters of replaced shards, guarded by resize.
	past cacheCounters
}

// A cache smaller than shardedFrom is one shard, and so evicts in exact LRU order. A
// larger one does so only within each shard. Keys are spread evenly enough that it
// fills up to within a few per cent of its capacity.
const (
	shardedFrom = 1 << 16
	shardCount  = 32
)

// NewCache makes a cache for at most capacity sessions, at least one.
func NewCache(capacity int) *Cache {
	c := &Cache{seed: maphash.MakeSeed()}
	c.shards.Store(newShards(capacity))
	return c
}

// shardsFor returns the number of shards for a capacity, a power of two.
func shardsFor(capacity int) int {
	if capacity >= shardedFrom {
		return shardCount
	}
	return 1
}

func newShards(capacity int) *[]*cacheShard {
	n := shardsFor(capacity)
	shards := make([]*cacheShard, n)
	for i := range shards {
		shards[i] = new(cacheShard)
		shards[i].reset(max(capacity/n, 1))
	}
	return &shards
}

// lock returns the locked shard of a key, and the key's hash.
func (c *Cache) lock(key string) (*cacheShard, uint64) {
	hash := maphash.String(c.seed, key)
	for {
		s := shardOf(*c.shards.Load(), hash)
		s.mu.Lock()
		if !s.moved {
			return s, hash
		}
		s.mu.Unlock()
	}
}

func shardOf(shards []*cacheShard, hash uint64) *cacheShard {
	return shards[hash&uint64(len(shards)-1)]
}

// Get returns the session of a key, or nil, and marks it as recently used.
func (c *Cache) Get(key string) *session.Session { return c.Load(key, new(session.Session)) }

// Load is Get without an allocation: it decodes the session into the given one,
// overwriting its segments.
func (c *Cache) Load(key string, into *session.Session) *session.Session {
	s, hash := c.lock(key)
	e, found := s.use(hash, key)
	if !found {
		s.counters.misses++
		s.mu.Unlock()
		return nil
	}
	s.counters.hits++
	s.mu.Unlock()
	form := e.form()
	switch {
	case len(form) == 0:
		return absent
	case session.DecodeInto(form, into) != nil:
		return nil
	}
	return into
}

// Version returns the version of the cached session of a key, 0 if it is cached that
// the key has none. It returns known false if nothing is cached.
func (c *Cache) Version(key string) (version session.Version, known bool) {
	s, hash := c.lock(key)
	defer s.mu.Unlock()
	e, _, found := s.peek(hash, key)
	if !found {
		return 0, false
	}
	return e.version(), true
}

// Swap replaces the session of version old (0: none) by next. It reports false, and
// changes nothing, if it finds another version.
func (c *Cache) Swap(key string, old session.Version, next *session.Session) bool {
	e := newCacheEntry(key, next)
	s, hash := c.lock(key)
	defer s.mu.Unlock()
	cached, found := s.use(hash, key)
	if found && cached.version() != old || !found && old != 0 {
		return false
	}
	s.set(hash, e)
	return true
}

// Put caches a session, replacing whatever is cached of its key.
func (c *Cache) Put(key string, next *session.Session) {
	e := newCacheEntry(key, next)
	s, hash := c.lock(key)
	defer s.mu.Unlock()
	s.use(hash, key)
	s.set(hash, e)
}

// Remove forgets a key.
func (c *Cache) Remove(key string) {
	s, hash := c.lock(key)
	s.remove(hash, key)
	s.mu.Unlock()
}

// Clear forgets all keys.
func (c *Cache) Clear() {
	c.resize.Lock()
	defer c.resize.Unlock()
	for _, s := range *c.shards.Load() {
		s.mu.Lock()
		s.reset(s.capacity)
		s.mu.Unlock()
	}
}

// Len returns how many sessions are cached.
func (c *Cache) Len() int {
	n := 0
	for _, s := range *c.shards.Load() {
		s.mu.Lock()
		n += s.len()
		s.mu.Unlock()
	}
	return n
}

// Stats returns the numbers of hits, misses and evicted sessions.
func (c *Cache) Stats() (hits, misses, evictions uint64) {
	c.resize.Lock() // otherwise shards that are being replaced would be counted twice, or not at all
	defer c.resize.Unlock()
	sum := c.past
	for _, s := range *c.shards.Load() {
		s.mu.Lock()
		sum.add(s.counters)
		s.mu.Unlock()
	}
	return sum.hits, sum.misses, sum.evictions
}

// Evicted returns how many sessions were evicted.
func (c *Cache) Evicted() uint64 {
	_, _, evictions := c.Stats()
	return evictions
}

// InUse reports whether a key has been used again some time after it was added, so
// that a flood of new keys does not evict it.
func (c *Cache) InUse(key string) bool {
	s, hash := c.lock(key)
	defer s.mu.Unlock()
	_, isProtected, found := s.peek(hash, key)
	return found && isProtected
}

// Each calls fn for every session until fn returns an error, and returns that error.
// It holds no lock while fn runs.
func (c *Cache) Each(fn func(key string, s *session.Session) error) error {
	for _, s := range *c.shards.Load() {
		s.mu.Lock()
		entries := s.entries()
		s.mu.Unlock()
		for i := range entries {
			e := &entries[i]
			cached, err := session.Decode(e.form())
			if err != nil {
				continue // the key has no session
			}
			if err := fn(e.key(), cached); err != nil {
				return err
			}
		}
	}
	return nil
}

// Resize sets the capacity, at least one session, and evicts the least recently used
// sessions beyond it. If the number of shards changes, the order of use is kept only
// among sessions of the same old shard.
func (c *Cache) Resize(capacity int) {
	c.resize.Lock()
	defer c.resize.Unlock()
	old := *c.shards.Load()
	if shardsFor(capacity) == len(old) {
		for _, s := range old {
			s.mu.Lock()
			s.resize(max(capacity/len(old), 1))
			s.mu.Unlock()
		}
		return
	}
	next := newShards(capacity)
	for _, s := range old {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.moved = true
		c.past.add(s.counters)
		s.copyTo(func(hash uint64) *cacheShard { return shardOf(*next, hash) })
	}
	// Readers that still have an old shard see that it has moved, and look again.
	c.shards.Store(next)
}
