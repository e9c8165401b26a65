package sessionstate

import (
	"sync"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// lagTable remembers the lags of the last requests of each key, in memory of a
// fixed size: some megabytes, a part of them from the first key on. It survives
// nothing: what of it is worth keeping is stored with the session. Where there
// are too many keys, those are forgotten that were not seen for longest: the
// lags of a burst of requests are told to each other, and no longer ago counts.
type lagTable struct {
	hash   keyHash
	shards [lagShards]lagShard
}

type lagShard struct {
	mu   sync.Mutex
	sets *[lagSets]lagSet
}

// lagSet is the lags of the few keys that share a place. What is looked at for
// each key lies together, in one line of the processor's cache.
type lagSet struct {
	keys [lagWays]uint64 // hashes
	seen [lagWays]int64
	lags [lagWays]session.Lags
}

const (
	lagShards = Lanes
	lagSets   = 256
	lagWays   = 4
)

// observe returns in known what was remembered of a key before the request, and
// remembers the request's lags, unless only to look. It reports whether anything of
// it matters: to a message that tells its clock, and to a control call.
func (t *lagTable) observe(key string, r *session.Request, known *session.Lags, look bool) bool {
	first := 0
	for first < len(r.Events) && r.Events[first].Clock() == session.NoClock && !r.Events[first].Kind.Control() {
		first++
	}
	if first == len(r.Events) {
		return false
	}
	hash := t.hash.of(key)
	shard := &t.shards[hash%lagShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	set, way := shard.find(hash)
	lags := &set.lags[way]
	*known = *lags
	if look {
		return true
	}
	set.seen[way] = r.Received
	for i := first; i < len(r.Events); i++ {
		lags.ObserveEvent(&r.Events[i], r.Received)
	}
	return true
}

// restore has what is remembered of a key be what it was before a request.
func (t *lagTable) restore(key string, known *session.Lags) {
	hash := t.hash.of(key)
	shard := &t.shards[hash%lagShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	set, way := shard.find(hash)
	set.lags[way] = *known
}

// find returns where a key is, in the place of another if need be.
func (s *lagShard) find(hash uint64) (set *lagSet, way int) {
	if s.sets == nil {
		s.sets = new([lagSets]lagSet)
	}
	set = &s.sets[hash/lagShards%lagSets]
	for i, key := range &set.keys {
		if key == hash {
			return set, i
		}
		if set.seen[i] < set.seen[way] {
			way = i
		}
	}
	set.keys[way], set.seen[way], set.lags[way] = hash, 0, session.Lags{}
	return set, way
}
