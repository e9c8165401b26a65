package redisstore

import (
	"context"
	"slices"
	"time"

	"github.com/redis/rueidis"
)

const (
	// measureInterval is how often the servers' clock is looked at, measureAgain
	// after how long if they did not tell it.
	measureInterval = 10 * time.Second
	measureAgain    = 250 * time.Millisecond
	// samples is how often each server is asked then: the quickest answer counts.
	samples = 3
	// drift is by how much two clocks may get apart in a time, at most: one in so
	// many. Those of computers are ten times better.
	drift = 5000
	// FarOff is by how much a clock may differ before somebody is told.
	FarOff = 250 * time.Millisecond
)

// reading is what the servers' clock said at a moment.
type reading struct {
	local, server time.Time
	// within is by how much server may be wrong.
	within time.Duration
}

// at returns what the servers' clock says at a moment, and within what.
func (r *reading) at(local time.Time) (server time.Time, within time.Duration) {
	passed := local.Sub(r.local)
	return r.server.Add(passed), r.within + passed.Abs()/drift
}

// At returns what the servers' clock said at a moment of this machine's: the same
// moment if that is not known, or if they do not differ by more than is known. A
// machine's clock that is set, while the process runs, changes nothing.
func (s *Store) At(local time.Time) time.Time {
	r := s.reading.Load()
	if r == nil {
		return local
	}
	server, within := r.at(local)
	if local.Round(0).Sub(server).Abs() <= within {
		return local
	}
	return server
}

// Ahead returns by how much this machine's clock is ahead of the servers'.
func (s *Store) Ahead() (ahead, within time.Duration, known bool) {
	r := s.reading.Load()
	if r == nil {
		return 0, 0, false
	}
	local := s.now()
	server, within := r.at(local)
	return local.Round(0).Sub(server), within, true
}

// followClock looks at the servers' clock now and then, and when a connection was
// lost: another server may have taken its place.
func (s *Store) followClock() {
	defer s.link.probing.Done()
	far, measured := false, s.reading.Load() != nil
	for {
		far = s.tellClock(far)
		pause := measureInterval
		if !measured {
			pause = measureAgain
		}
		timer := time.NewTimer(pause)
		select {
		case <-s.link.stop:
			timer.Stop()
			return
		case <-s.remeasure:
			timer.Stop()
		case <-timer.C:
		}
		measured = s.measure()
	}
}

// tellClock tells if this machine's clock is far off, or is so no more.
func (s *Store) tellClock(was bool) (far bool) {
	ahead, within, known := s.Ahead()
	far = known && ahead.Abs() > FarOff+within
	if far != was && s.link.log.Clock != nil {
		s.link.log.Clock(ahead, far)
	}
	return far
}

// measureSoon has the servers' clock looked at without waiting.
func (s *Store) measureSoon() {
	select {
	case s.remeasure <- struct{}{}:
	default:
	}
}

// measure asks the servers for the time. In a Cluster the middle one of all nodes'
// clocks counts, which is the same for all who ask. It reports whether one of them
// told it.
func (s *Store) measure() bool {
	client := s.link.client.Load()
	if client == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	var all []*reading
	for _, node := range (*client).Nodes() {
		if r := s.ask(ctx, node); r != nil {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return false
	}
	slices.SortFunc(all, func(a, b *reading) int {
		return int(a.server.Sub(a.local.Round(0)) - b.server.Sub(b.local.Round(0)))
	})
	s.take(all[(len(all)-1)/2])
	return true
}

// ask returns the best of some readings of a server's clock, nil if there is none.
func (s *Store) ask(ctx context.Context, node rueidis.Client) (best *reading) {
	for range samples {
		before := s.now()
		answer, err := node.Do(ctx, node.B().Time().Build()).AsIntSlice()
		within := s.now().Sub(before)/2 + time.Microsecond
		if err != nil || len(answer) != 2 {
			return best
		}
		if best == nil || within < best.within {
			best = &reading{before.Add(within), time.Unix(answer[0], answer[1]*1000), within}
		}
	}
	return best
}

// take keeps a reading if it is better than the one that there is, or says that
// the servers' clock is another now.
func (s *Store) take(r *reading) {
	if old := s.reading.Load(); old != nil {
		server, within := old.at(r.local)
		if r.within > within && server.Sub(r.server).Abs() <= within+r.within {
			return
		}
	}
	s.reading.Store(r)
}
