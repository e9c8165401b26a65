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

// restore has what is remembered of a key be what it was before a request.
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

// clockID is a clock's id. The hash's lowest bit is free, because it tells the shard.
func clockID(hash uint64, clock session.Clock) uint64 {
	return hash&^1 | uint64(clock-session.DeviceClock)
}

// find returns what is known of a clock, or nil.
func (s *lagSet) find(id uint64) *clockLags {
	for i := range s {
		if s[i].id == id {
			return &s[i]
		}
	}
	return nil
}

// findOrMake returns what is known of a clock, or takes a place for it: that of
// another if need be.
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
