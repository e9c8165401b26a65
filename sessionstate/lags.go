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

// lagSet is the lags of the few clocks that share a place.
type lagSet [lagWays]clockLags

// clockLags is what is known of one clock of a key.
type clockLags struct {
	// id is the key's hash, with the clock in place of the lowest bit.
	id   uint64
	lags session.ClockLags
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
	for _, clock := range clocks {
		*known.Of(clock) = session.ClockLags{}
		if l := set.find(clockID(hash, clock)); l != nil {
			*known.Of(clock) = l.lags
		}
	}
	if look {
		return true
	}
	for i := first; i < len(r.Events); i++ {
		if clock := r.Events[i].Clock(); clock != session.NoClock {
			l := set.findOrMake(clockID(hash, clock))
			l.lags.ObserveEvent(&r.Events[i], r.Received)
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
			l.lags = *known.Of(clock)
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

// find returns the lags of a clock, or nil.
func (s *lagSet) find(id uint64) *clockLags {
	for i := range s {
		if s[i].id == id {
			return &s[i]
		}
	}
	return nil
}

// findOrMake returns the lags of a clock. If there are none, it makes an entry in the
// place of the clock that was seen longest ago.
func (s *lagSet) findOrMake(id uint64) *clockLags {
	if l := s.find(id); l != nil {
		return l
	}
	oldest := &s[0]
	for i := range s {
		if s[i].lags.Newest().At < oldest.lags.Newest().At {
			oldest = &s[i]
		}
	}
	oldest.id = id
	oldest.lags = session.ClockLags{}
	return oldest
}
