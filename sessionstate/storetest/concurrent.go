package storetest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func firstWins(t *testing.T, s store) {
	var winners atomic.Int32
	var winner atomic.Uint64
	sessiontest.Together(16, func(i int) {
		v := sampleSession(t, session.Version(100+i))
		ok, err := s.compareAndSwap(t.Context(), "key", 0, v)
		if err != nil {
			t.Errorf("compare and swap: %v", err)
		}
		if ok {
			winners.Add(1)
			winner.Store(uint64(v.Version))
		}
	})
	if winners.Load() != 1 {
		t.Fatalf("%d of 16 created the session", winners.Load())
	}
	s.holds(t, "key", sampleSession(t, session.Version(winner.Load())))
}

func noUpdateIsLost(t *testing.T, s store) {
	const workers, each = 8, 12
	sessiontest.Together(workers, func(worker int) {
		// Two keys, for stores that lock several.
		key := []string{"even", "odd"}[worker%2]
		for n := 0; n < each; {
			v, err := s.Get(t.Context(), key)
			if err != nil {
				t.Errorf("get: %v", err)
				return
			}
			next := &session.Session{Version: 1, Segments: []session.Segment{{ID: 1}}}
			old := session.Version(0)
			if v != nil {
				old = v.Version
				next.Version = old + 1
				next.Segments[0].ID = v.Segments[0].ID + 1
			}
			ok, err := s.compareAndSwap(t.Context(), key, old, next)
			if err != nil {
				t.Errorf("compare and swap: %v", err)
				return
			}
			if ok {
				n++
			}
		}
	})
	const total = workers / 2 * each
	for _, key := range []string{"even", "odd"} {
		s.holds(t, key, &session.Session{Version: total, Segments: []session.Segment{{ID: total}}})
	}
}

// A scan sees all sessions that exist throughout it, whatever else is added and deleted.
func scanAmongChanges(t *testing.T, s store) {
	for i := range session.Version(100) {
		s.swap(t, fmt.Sprint("stays ", i), 0, sampleSession(t, i+1), true)
	}
	sessiontest.Together(2, func(i int) {
		if i == 0 {
			for n := range session.Version(100) {
				s.swap(t, "comes and goes", 0, sampleSession(t, n+1), true)
				s.delete(t, "comes and goes")
			}
			return
		}
		for range 5 {
			stays := 0
			for key := range s.scan(t) {
				if strings.HasPrefix(key, "stays ") {
					stays++
				}
			}
			if stays != 100 {
				t.Errorf("scan saw %d of 100", stays)
			}
		}
	})
}
