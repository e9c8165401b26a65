package sessionstate

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache is a least-recently-used table of sessions, bounded by their number and
// split into shards so that look-ups do not wait for each other.
//
// It keeps sessions in their stored form: that takes a third of the memory, and
// gives the garbage collector less to follow.
type Cache struct {
	seed    maphash.Seed
	shards  atomic.Pointer[[]*shard]
	resize  sync.Mutex
	evicted atomic.Uint64
}

type shard struct {
	mu  sync.Mutex
	lru *simplelru.LRU[string, packed]
	// size is how many sessions fit.
	size int
	// moved says that the sessions are in other shards now.
	moved bool
	_     [64 - 32]byte // a cache line each, or shards would slow each other down
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
		shards[i] = &shard{size: max(capacity/n, 1)}
		shards[i].clear()
	}
	return &shards
}

func (s *shard) clear() {
	// NewLRU fails for sizes below one only.
	s.lru, _ = simplelru.NewLRU[string, packed](s.size, nil)
}

// lock returns the locked shard of a key.
func (c *Cache) lock(key string) *shard {
	h := maphash.String(c.seed, key)
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
	s := c.lock(key)
	v, known := s.lru.Get(key)
	s.mu.Unlock()
	switch {
	case !known:
		return nil
	case v == nil:
		return absent
	case decodeSession(bytesOf(v), into) != nil:
		return nil
	}
	return into
}

// Version returns the version of the cached session of a key, 0 if there is
// known to be none, and whether anything is known of it.
func (c *Cache) Version(key string) (version uint64, known bool) {
	s := c.lock(key)
	v, known := s.lru.Get(key)
	s.mu.Unlock()
	return versionOf(v), known
}

// Swap puts next in the place of the session of version old (0: none), and
// reports whether that was what it found.
func (c *Cache) Swap(key string, old uint64, next *Session) bool {
	v := pack(next)
	s := c.lock(key)
	defer s.mu.Unlock()
	was, known := s.lru.Get(key)
	if known && versionOf(was) != old || !known && old != 0 {
		return false
	}
	c.add(s, key, known, v)
	return true
}

// Put caches a session in the place of whatever is cached of its key.
func (c *Cache) Put(key string, next *Session) {
	v := pack(next)
	s := c.lock(key)
	defer s.mu.Unlock()
	c.add(s, key, s.lru.Contains(key), v)
}

func (c *Cache) add(s *shard, key string, known bool, v packed) {
	if !known {
		// The caller's key is a part of a larger string that would stay with it.
		key = strings.Clone(key)
	}
	if s.lru.Add(key, v) {
		c.evicted.Add(1)
	}
}

// Remove forgets a key.
func (c *Cache) Remove(key string) {
	s := c.lock(key)
	s.lru.Remove(key)
	s.mu.Unlock()
}

// Clear forgets all keys.
func (c *Cache) Clear() {
	c.resize.Lock()
	defer c.resize.Unlock()
	for _, s := range *c.shards.Load() {
		s.mu.Lock()
		s.clear() // not Purge, which goes from entry to entry
		s.mu.Unlock()
	}
}

// Len returns how many sessions are cached.
func (c *Cache) Len() int {
	n := 0
	for _, s := range *c.shards.Load() {
		s.mu.Lock()
		n += s.lru.Len()
		s.mu.Unlock()
	}
	return n
}

// Evicted returns how many sessions had to make room for others.
func (c *Cache) Evicted() uint64 { return c.evicted.Load() }

// Each calls fn for every session until it returns an error, which it returns.
// It holds no lock while fn runs.
func (c *Cache) Each(fn func(key string, s *Session) error) error {
	type entry struct {
		key    string
		packed packed
	}
	for _, s := range *c.shards.Load() {
		s.mu.Lock()
		entries := make([]entry, 0, s.lru.Len())
		for _, key := range s.lru.Keys() {
			v, _ := s.lru.Peek(key)
			entries = append(entries, entry{key, v})
		}
		s.mu.Unlock()
		for _, e := range entries {
			session, err := DecodeSession(bytesOf(e.packed))
			if err != nil {
				continue // known to be absent
			}
			if err := fn(e.key, session); err != nil {
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
			s.size = max(capacity/len(old), 1)
			c.evicted.Add(uint64(s.lru.Resize(s.size)))
			s.mu.Unlock()
		}
		return
	}
	for _, s := range old {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.moved = true
	}
	for _, s := range old {
		for _, key := range s.lru.Keys() {
			v, _ := s.lru.Peek(key)
			to := (*next)[maphash.String(c.seed, key)&uint64(len(*next)-1)]
			if to.lru.Add(key, v) {
				c.evicted.Add(1)
			}
		}
	}
	c.shards.Store(next)
}
