package sessionstate

import (
	"sync"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// lagTable has the lags of the last requests of each key, in memory of a fixed size:
// some megabytes, allocated as keys come. It is not persistent: the part that is worth
// keeping is stored with the session. If there are too many keys, those that were not
// seen for longest are forgotten, which costs little: lags matter most among the
// requests of one burst.
type lagTable struct {
	hash   keyHash
	shards [lagShards]lagShard
}

type lagShard struct {
	mu   sync.Mutex
	sets *[lagSets]lagSet
}

// lagSet is the lags of the few clocks that share a place. The ids are together, so that
// looking for one reads little memory.
type lagSet struct {
	// ids are the keys' hashes, with the clock in place of the lowest bit.
	ids  [lagWays]uint64
	lags [lagWays]session.ClockLags
}

const (
	lagShards = Lanes
	lagSets   = 256
	lagWays   = 4
)

var clocks = [...]session.Clock{session.DeviceClock, session.ServerClock}

// observe sets known to the lags of a key before the request and, unless look is set,
// records the lags of the request. It reports whether known matters to the request,
// which it does to messages that tell their clock, and to control calls.
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
	set := shard.set(hash)
	set.read(hash, known)
	if look {
		return true
	}
	for i := first; i < len(r.Events); i++ {
		if clock := r.Events[i].Clock(); clock != session.NoClock {
			set.findOrMake(clockID(hash, clock)).ObserveEvent(&r.Events[i], r.Received)
		}
	}
	return true
}

// restore sets the lags of a key to what they were before a request.
func (t *lagTable) restore(key string, known *session.Lags) {
	hash := t.hash.of(key)
	shard := &t.shards[hash%lagShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	for _, clock := range clocks {
		if l := shard.set(hash).find(clockID(hash, clock)); l != nil {
			*l = *known.Of(clock)
		}
	}
}

// set returns the set of a key.
func (s *lagShard) set(hash uint64) *lagSet {
	if s.sets == nil {
		s.sets = new([lagSets]lagSet)
	}
	return &s.sets[hash/lagShards%lagSets]
}

// clockID returns the id of a clock. The lowest bit of the hash is free for the clock,
// because it is the same for all keys of a shard.
func clockID(hash uint64, clock session.Clock) uint64 {
	return hash&^1 | uint64(clock-session.DeviceClock)
}

// read sets known to the lags of both clocks of a key.
func (s *lagSet) read(hash uint64, known *session.Lags) {
	*known = session.Lags{}
	for i, id := range s.ids {
		switch id {
		case clockID(hash, session.DeviceClock):
			*known.Of(session.DeviceClock) = s.lags[i]
		case clockID(hash, session.ServerClock):
			*known.Of(session.ServerClock) = s.lags[i]
		}
	}
}

// find returns the lags of a clock, or nil.
func (s *lagSet) find(id uint64) *session.ClockLags {
	for i := range s.ids {
		if s.ids[i] == id {
			return &s.lags[i]
		}
	}
	return nil
}

// findOrMake returns the lags of a clock. If there are none, it makes an entry in the
// place of the clock that was seen longest ago.
func (s *lagSet) findOrMake(id uint64) *session.ClockLags {
	if l := s.find(id); l != nil {
		return l
	}
	oldest := 0
	for i := range s.lags {
		if s.lags[i].Newest().At < s.lags[oldest].Newest().At {
			oldest = i
		}
	}
	s.ids[oldest] = id
	s.lags[oldest] = session.ClockLags{}
	return &s.lags[oldest]
}
