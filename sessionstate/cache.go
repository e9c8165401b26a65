package sessionstate

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Cache is a least-recently-used table of sessions, bounded by their number and
// split into shards so that look-ups do not wait for each other. Sessions that
// come once do not push out those that are in use (see segmented).
//
// It keeps sessions in their stored form: that takes a third of the memory, and
// gives the garbage collector less to follow.
type Cache struct {
	seed    maphash.Seed
	shards  atomic.Pointer[[]*shard]
	resize  sync.Mutex
	evicted atomic.Uint64
	// hits and misses are those of shards that are no more, guarded by resize.
	hits, misses uint64
}

type shard struct {
	mu sync.Mutex
	segmented
	// hits and misses count what was asked for and was there, or was not.
	hits, misses uint64
	// moved says that the sessions are in other shards now.
	moved bool
	_     [64]byte // or shards would slow each other down
}

// A table smaller than this is one shard, and so exactly least-recently-used. A
// larger one is so by shard; keys spread evenly enough for its bound to be
// reached within a few per cent.
const (
	shardedFrom = 1 << 16
	shardCount  = 32
)

// NewCache makes a cache for at most capacity sessions, at least one.
func NewCache(capacity int) *Cache {
	c := &Cache{seed: maphash.MakeSeed()}
	c.shards.Store(c.newShards(capacity))
	return c
}

func (c *Cache) newShards(capacity int) *[]*shard {
	n := 1
	if capacity >= shardedFrom {
		n = shardCount
	}
	shards := make([]*shard, n)
	for i := range shards {
		shards[i] = new(shard)
		shards[i].reset(max(capacity/n, 1))
	}
	return &shards
}

// lock returns the locked shard of a key, and the part of its hash that tells
// keys of a shard apart.
func (c *Cache) lock(key string) (*shard, uint32) {
	h := maphash.String(c.seed, key)
	return c.lockHash(h), tag(h)
}

// tag is of the bits that do not choose the shard.
func tag(hash uint64) uint32 { return uint32(hash >> 32) }

func (c *Cache) lockHash(h uint64) *shard {
	for {
		shards := *c.shards.Load()
		s := shards[h&uint64(len(shards)-1)]
		s.mu.Lock()
		if !s.moved {
			return s
		}
		s.mu.Unlock()
	}
}

// Get returns the session of a key, or nil, and marks it as recently used.
func (c *Cache) Get(key string) *Session { return c.Load(key, new(Session)) }

// Load does what Get does, without an allocation: the session is put into the
// one given, whose segments are overwritten.
func (c *Cache) Load(key string, into *Session) *Session {
	s, hash := c.lock(key)
	p := s.use(key, hash)
	if p == nil {
		s.misses++
		s.mu.Unlock()
		return nil
	}
	s.hits++
	it := p.item
	s.mu.Unlock()
	_, form := it.parts()
	switch {
	case len(form) == 0:
		return absent
	case decodeSession(form, into) != nil:
		return nil
	}
	return into
}

// Version returns the version of the cached session of a key, 0 if there is
// known to be none, and whether anything is known of it.
func (c *Cache) Version(key string) (version Version, known bool) {
	s, hash := c.lock(key)
	defer s.mu.Unlock()
	p := s.find(key, hash)
	if p == nil {
		return 0, false
	}
	return p.item.version(), true
}

// Swap puts next in the place of the session of version old (0: none), and
// reports whether that was what it found.
func (c *Cache) Swap(key string, old Version, next *Session) bool {
	it := newItem(key, next)
	s, hash := c.lock(key)
	defer s.mu.Unlock()
	p := s.use(key, hash)
	if p != nil && p.item.version() != old || p == nil && old != 0 {
		return false
	}
	c.set(s, p, it, hash)
	return true
}

// Put caches a session in the place of whatever is cached of its key.
func (c *Cache) Put(key string, next *Session) {
	it := newItem(key, next)
	s, hash := c.lock(key)
	defer s.mu.Unlock()
	c.set(s, s.use(key, hash), it, hash)
}

func (c *Cache) set(s *shard, p *place, it item, hash uint32) {
	if p != nil {
		p.item = it
		return
	}
	c.evicted.Add(uint64(s.add(it, hash)))
}

// Remove forgets a key.
func (c *Cache) Remove(key string) {
	s, hash := c.lock(key)
	s.remove(key, hash)
	s.mu.Unlock()
}

// Clear forgets all keys.
func (c *Cache) Clear() {
	c.resize.Lock()
	defer c.resize.Unlock()
	for _, s := range *c.shards.Load() {
		s.mu.Lock()
		s.reset(s.size)
		s.mu.Unlock()
	}
}

// Len returns how many sessions are cached.
func (c *Cache) Len() int {
	n := 0
	for _, s := range *c.shards.Load() {
		s.mu.Lock()
		n += s.n
		s.mu.Unlock()
	}
	return n
}

// Evicted returns how many sessions had to make room for others.
func (c *Cache) Evicted() uint64 { return c.evicted.Load() }

// Stats returns how many look-ups there have been of what was cached, and of
// what was not, and how many sessions had to make room for others.
func (c *Cache) Stats() (hits, misses, evictions uint64) {
	c.resize.Lock() // between two sets of shards nothing would be counted
	defer c.resize.Unlock()
	hits, misses = c.hits, c.misses
	for _, s := range *c.shards.Load() {
		s.mu.Lock()
		hits, misses = hits+s.hits, misses+s.misses
		s.mu.Unlock()
	}
	return hits, misses, c.evicted.Load()
}

// InUse reports whether a key has been used again some time after it came, which
// keeps those out that come once.
func (c *Cache) InUse(key string) bool {
	s, hash := c.lock(key)
	defer s.mu.Unlock()
	p := s.find(key, hash)
	return p != nil && s.at(p.entry).protected()
}

// Each calls fn for every session until it returns an error, which it returns.
// It holds no lock while fn runs.
func (c *Cache) Each(fn func(key string, s *Session) error) error {
	for _, s := range *c.shards.Load() {
		s.mu.Lock()
		items := make([]item, 0, s.n)
		s.each(func(p *place, _ bool) { items = append(items, p.item) })
		s.mu.Unlock()
		for _, it := range items {
			key, form := it.parts()
			session, err := DecodeSession(form)
			if err != nil {
				continue // known to be absent
			}
			if err := fn(key, session); err != nil {
				return err
			}
		}
	}
	return nil
}

// Resize bounds the cache to capacity sessions, at least one; the least
// recently used ones go. Where that changes the number of shards, what is least
// recent is known only within each of the old ones.
func (c *Cache) Resize(capacity int) {
	c.resize.Lock()
	defer c.resize.Unlock()
	old := *c.shards.Load()
	next := c.newShards(capacity)
	if len(*next) == len(old) {
		for _, s := range old {
			s.mu.Lock()
			c.evicted.Add(uint64(s.resize(max(capacity/len(old), 1))))
			s.mu.Unlock()
		}
		return
	}
	for _, s := range old {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.moved = true
		c.hits, c.misses = c.hits+s.hits, c.misses+s.misses
	}
	for _, s := range old {
		s.each(func(p *place, protected bool) {
			to := (*next)[maphash.String(c.seed, p.item.key())&uint64(len(*next)-1)]
			c.evicted.Add(uint64(to.take(p, protected)))
		})
	}
	// What others still look up in the old shards they find moved.
	c.shards.Store(next)
}
