package sessionstate

import (
	"sync"
)

// StartsWindow is the length, in milliseconds, of the window in which the sessions that
// control calls begin are counted. It starts with the first of them.
const StartsWindow = 60_000

// starts counts the sessions that control calls begin, by key, in memory of a fixed
// size: some megabytes, allocated with the first of them. If there are too many keys,
// those with the fewest starts are forgotten.
type starts struct {
	hash   keyHash
	once   sync.Once
	shards []startShard
}

type startShard struct {
	mu   sync.Mutex
	sets [startSets][startWays]startCount
}

type startCount struct {
	key   uint64 // the key's hash
	from  int64
	count int
}

const (
	startShards = Lanes
	startSets   = 256
	startWays   = 4
)

// TakeStarts reserves n starts of sessions for control calls of a key, or fewer if that
// would exceed limit in a window, and returns how many it has reserved. now is in Unix
// milliseconds.
func (t *Table) TakeStarts(key string, now int64, n, limit int) int {
	var taken int
	t.starts.with(key, func(shard *startShard, hash uint64) {
		c := shard.find(hash, now, true)
		taken = max(min(n, limit-c.count), 0)
		c.count += taken
	})
	return taken
}

// GiveStarts returns n starts that were reserved but not used.
func (t *Table) GiveStarts(key string, now int64, n int) {
	if n == 0 {
		return
	}
	t.starts.with(key, func(shard *startShard, hash uint64) {
		if c := shard.find(hash, now, false); c != nil {
			c.count = max(c.count-n, 0)
		}
	})
}

func (s *starts) with(key string, fn func(*startShard, uint64)) {
	s.once.Do(func() { s.shards = make([]startShard, startShards) })
	hash := s.hash.of(key)
	shard := &s.shards[hash%startShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	fn(shard, hash)
}

// find returns the count of a key in the current window, or nil. If make is set, it
// starts a window if there is none, in the place of another key's if necessary.
func (s *startShard) find(hash uint64, now int64, make bool) *startCount {
	set := &s.sets[hash/startShards%startSets]
	least := &set[0]
	for i := range set {
		c := &set[i]
		if now-c.from >= StartsWindow || c.from-now >= StartsWindow {
			c.count = 0 // the window is over, or the clock was set
		} else if c.key == hash {
			return c
		}
		if c.count < least.count {
			least = c
		}
	}
	if !make {
		return nil
	}
	*least = startCount{key: hash, from: now}
	return least
}
