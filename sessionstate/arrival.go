package sessionstate

import (
	"sync/atomic"
	"time"
)

// Arrival returns when a request arrived, in Unix milliseconds by the clock that
// this table goes by, from when that was by this machine's. Sessions may be
// forgotten by age at that moment if steady is true: the clock has not just jumped.
func (t *Table) Arrival(local time.Time) (ms int64, steady bool) {
	at := local
	if t.can.clocked != nil {
		at = t.can.clocked.At(local)
	}
	ms = at.UnixMilli()
	return ms, t.steady.At(ms, local)
}

const (
	// farAhead is by how much a clock may get ahead of the time that has passed
	// before that is a jump, in milliseconds.
	farAhead = 60_000
	// jumpHolds is how long a clock has to stay where it jumped to before it is
	// believed: long enough for somebody to put it right.
	jumpHolds = 24 * time.Hour
)

// Steady watches a clock that may be set while the process runs. What is forgotten
// by age would all be gone at once if the clock jumped ahead by more than the
// retention; so a jump is believed only once the clock has stayed there for a day.
// The zero value is ready to use.
type Steady struct{ since atomic.Pointer[anchor] }

// anchor is a moment by which a clock is judged.
type anchor struct {
	// local is a reading of this machine's clock, with the time since its start in
	// it, which is never set.
	local time.Time
	ms    int64
	// jumped is when the clock was first seen to be ahead; zero if it is not.
	jumped time.Time
}

// At reports whether a clock that says ms, in Unix milliseconds, may be believed.
// local is time.Now() of that moment.
func (s *Steady) At(ms int64, local time.Time) bool {
	a := s.since.Load()
	if a == nil {
		s.since.CompareAndSwap(nil, &anchor{local: local, ms: ms})
		return true
	}
	ahead := ms - a.ms - local.Sub(a.local).Milliseconds()
	switch {
	case ahead < -farAhead:
		// It was put back: it counts from here.
		s.since.CompareAndSwap(a, &anchor{local: local, ms: ms})
		return true
	case ahead <= farAhead:
		if !a.jumped.IsZero() {
			s.since.CompareAndSwap(a, &anchor{local: a.local, ms: a.ms})
		}
		return true
	case a.jumped.IsZero():
		s.since.CompareAndSwap(a, &anchor{local: a.local, ms: a.ms, jumped: local})
		return false
	case local.Sub(a.jumped) < jumpHolds:
		return false
	}
	s.since.CompareAndSwap(a, &anchor{local: local, ms: ms})
	return true
}
