package sessionstate

import (
	"hash/maphash"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// keyHash places keys in memory of a fixed size, where one key can replace another. Its
// seed is secret, so that no client can choose which, unless fixed is set. The zero
// value is ready to use.
type keyHash struct {
	once  sync.Once
	seed  maphash.Seed
	fixed bool
}

func (h *keyHash) of(key string) uint64 {
	if h.fixed {
		return xxhash.Sum64String(key)
	}
	h.once.Do(func() { h.seed = maphash.MakeSeed() })
	return maphash.String(h.seed, key)
}

// Lanes is the number of lanes that the keys of a table are divided into.
const Lanes = 64

// Lane returns the lane of a key, from 0 to [Lanes]-1. With [Options.Reproducible], the
// decisions about a key depend only on the order of the requests of its lane, so lanes
// can be processed in parallel.
func Lane(key string) int { return int(xxhash.Sum64String(key) % Lanes) }
