package sessionstate

import (
	"hash/maphash"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// keyHash hashes the keys of a table in memory of a fixed size, where two keys can
// be in each other's way: with a seed that no client can foresee, unless fixed is
// set. The zero value is ready to use.
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

// Lanes is how many lanes the keys of a table are in.
const Lanes = 64

// Lane returns the lane of a key, from 0 to [Lanes]-1. With [Options.Reproducible],
// the decisions about a key depend on the order of the requests of its lane alone:
// lanes can be worked on at the same time.
func Lane(key string) int { return int(xxhash.Sum64String(key) % Lanes) }
