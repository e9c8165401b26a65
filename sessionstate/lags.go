package sessionstate

import (
	"hash/maphash"
	"sync"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// lagTable remembers the lags of the last requests of each key, in memory of a
// fixed size: some megabytes, a part of them from the first key on. It survives
// nothing: what of it is worth keeping is stored with the session. Where there
// are too many keys, those are forgotten that were not seen for longest: the
// lags of a burst of requests are told to each other, and no longer ago counts.
type lagTable struct {
	once   sync.Once
	seed   maphash.Seed
	shards [lagShards]lagShard
}

type lagShard struct {
	mu   sync.Mutex
	sets *[lagSets][lagWays]keyLags
}

type keyLags struct {
	key  uint64 // a hash that no client can foresee
	seen int64
	lags session.Lags
}

const (
	lagShards = 64
	lagSets   = 256
	lagWays   = 4
)

// observe returns in known what was remembered of a key before the request, and
// remembers the request's lags, unless only to look. It reports whether a message
// of the request tells its clock: if none does, no lag matters.
func (t *lagTable) observe(key string, r *session.Request, known *session.Lags, look bool) bool {
	first := 0
	for first < len(r.Events) && r.Events[first].Clock() == session.NoClock {
		first++
	}
	if first == len(r.Events) {
		return false
	}
	t.once.Do(func() { t.seed = maphash.MakeSeed() })
	hash := maphash.String(t.seed, key)
	shard := &t.shards[hash%lagShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	e := shard.find(hash)
	*known = e.lags
	if look {
		return true
	}
	e.seen = r.Received
	for i := first; i < len(r.Events); i++ {
		if clock := r.Events[i].Clock(); clock != session.NoClock {
			e.lags.Observe(clock, r.Received-r.Events[i].Times.Sent, r.Received)
		}
	}
	return true
}

// find returns what is remembered of a key, in the place of another if need be.
func (s *lagShard) find(hash uint64) *keyLags {
	if s.sets == nil {
		s.sets = new([lagSets][lagWays]keyLags)
	}
	set := &s.sets[hash/lagShards%lagSets]
	oldest := &set[0]
	for i := range set {
		if e := &set[i]; e.key == hash {
			return e
		} else if e.seen < oldest.seen {
			oldest = e
		}
	}
	*oldest = keyLags{key: hash}
	return oldest
}
