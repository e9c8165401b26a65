package sessionstate

import (
	"hash/maphash"
	"runtime"
)

// prefetched is of how many keys the memory is fetched at the same time.
const prefetched = 128

// Prefetch has the processor fetch what is in memory of several keys, before they
// are asked for one by one: then it waits for all of it at the same time. Of many
// users, hardly anything is in a processor's cache, and waiting is half of what an
// update takes. It changes nothing.
func (t *Table) Prefetch(keys []string) {
	for len(keys) > 0 {
		n := min(len(keys), prefetched)
		t.lags.prefetch(keys[:n])
		t.mode.prefetch(keys[:n])
		keys = keys[n:]
	}
}

// Prefetch does what [Table.Prefetch] says, for at most 128 keys. It locks each
// shard once: a processor waits at each lock for what it has begun to fetch.
func (c *Cache) Prefetch(keys []string) {
	if len(keys) > prefetched {
		keys = keys[:prefetched]
	}
	shards := *c.shards.Load()
	// first has, for each shard, a linked list of its keys: 1 more than their index,
	// 0 at the end.
	var first [shardCount]uint8
	var next [prefetched]uint8
	var hashes [prefetched]uint64
	for i, key := range keys {
		hashes[i] = maphash.String(c.seed, key)
		head := &first[hashes[i]&uint64(len(shards)-1)]
		next[i], *head = *head, uint8(i+1)
	}
	var texts [prefetched][]byte
	for i, s := range shards {
		if first[i] == 0 {
			continue
		}
		s.mu.Lock()
		for at := first[i]; at != 0; at = next[at-1] {
			texts[at-1] = s.textOf(hashes[at-1])
		}
		s.mu.Unlock()
	}
	var bytes byte
	for _, text := range texts[:len(keys)] {
		for i := 0; i < len(text); i += cacheLine {
			bytes += text[i]
		}
	}
	runtime.KeepAlive(bytes)
}

// cacheLine is how many bytes a processor fetches at once.
const cacheLine = 64

// textOf returns the text of what is cached under a hash, nil for nothing. It is
// not marked as used.
func (s *cacheShard) textOf(hash uint64) []byte {
	e, found := s.protected.Peek(hash)
	if !found {
		e, _ = s.probation.Peek(hash)
	}
	return e.text
}
