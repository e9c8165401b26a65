package sessionstate

import (
	"sync/atomic"
	"time"
)

// Arrival converts the arrival of a request, local by this machine's clock, to the
// table's clock, in Unix milliseconds. If steady is false, the clock has just jumped
// ahead, and sessions must not be forgotten by age.
func (t *Table) Arrival(local time.Time) (ms int64, steady bool) {
	at := local
	if t.can.clocked != nil {
		at = t.can.clocked.At(local)
	}
	ms = at.UnixMilli()
	return ms, t.steady.At(ms, local)
}

const (
	// farAhead is how far a clock may get ahead of the time that has passed before it
	// counts as a jump, in milliseconds.
	farAhead = 60_000
	// jumpHolds is how long a clock must keep its new time after a jump before it is
	// believed: long enough for somebody to correct it.
	jumpHolds = 24 * time.Hour
)

// Steady watches a clock that may be set while the process runs. If the clock jumped
// ahead by more than the retention, all sessions would be forgotten at once, so a jump
// is believed only after a day. The zero value is ready to use.
type Steady struct{ since atomic.Pointer[anchor] }

// anchor is the moment against which a clock is checked.
type anchor struct {
	// local is a reading of this machine's clock. It includes Go's monotonic clock,
	// which is never set.
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
		// The clock was set back: this is the new anchor.
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
