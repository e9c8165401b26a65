package redisstore

import (
	"context"
	"slices"
	"time"

	"github.com/redis/rueidis"
)

const (
	// measureInterval is how often the servers' clock is measured, measureRetry how
	// soon again if that failed.
	measureInterval = 10 * time.Second
	measureRetry    = 250 * time.Millisecond
	// samples is how often each server is asked; the quickest answer counts.
	samples = 3
	// drift limits how fast two clocks drift apart: by 1/drift of the time passed.
	// Clocks of computers are ten times better.
	drift = 5000
	// FarOff is the difference of clocks from which Log.Clock is called.
	FarOff = 250 * time.Millisecond
)

// reading is a measurement of the servers' clock.
type reading struct {
	local, server time.Time
	// within is the uncertainty of server.
	within time.Duration
}

// at converts a local time to the servers' clock, and returns the uncertainty.
func (r *reading) at(local time.Time) (server time.Time, within time.Duration) {
	passed := local.Sub(r.local)
	return r.server.Add(passed), r.within + passed.Abs()/drift
}

// At converts a time of this machine's clock to the servers' clock. It returns local
// unchanged if the servers' clock is unknown, or differs by no more than the
// uncertainty. Setting this machine's clock while the process runs changes nothing.
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

// Ahead returns how far this machine's clock is ahead of the servers', and the
// uncertainty of that.
func (s *Store) Ahead() (ahead, within time.Duration, known bool) {
	r := s.reading.Load()
	if r == nil {
		return 0, 0, false
	}
	local := s.now()
	server, within := r.at(local)
	return local.Round(0).Sub(server), within, true
}

// followClock measures the servers' clock at intervals, and after a connection was lost,
// because another server may have taken over.
func (s *Store) followClock() {
	defer s.link.background.Done()
	far, measured := false, s.reading.Load() != nil
	for {
		far = s.logClock(far)
		pause := measureInterval
		if !measured {
			pause = measureRetry
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

// logClock calls Log.Clock if this machine's clock has become far off, or no longer is.
func (s *Store) logClock(was bool) (far bool) {
	ahead, within, known := s.Ahead()
	far = known && ahead.Abs() > FarOff+within
	if far != was && s.link.log.Clock != nil {
		s.link.log.Clock(ahead, far)
	}
	return far
}

// measureSoon wakes followClock.
func (s *Store) measureSoon() {
	select {
	case s.remeasure <- struct{}{}:
	default:
	}
}

// measure asks the servers for the time. In a Cluster it takes the median of all nodes'
// clocks, which is the same for all processes. It reports whether any server
// answered.
func (s *Store) measure() bool {
	client := s.link.client.Load()
	if client == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	var all []*reading
	for _, node := range (*client).Nodes() {
		if r := s.readClock(ctx, node); r != nil {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return false
	}
	slices.SortFunc(all, func(a, b *reading) int {
		return int(a.server.Sub(a.local.Round(0)) - b.server.Sub(b.local.Round(0)))
	})
	s.setReading(all[(len(all)-1)/2])
	return true
}

// readClock returns the best of some readings of a server's clock, nil if there is none.
func (s *Store) readClock(ctx context.Context, node rueidis.Client) (best *reading) {
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

// setReading keeps a reading if it is more exact than the current one, or contradicts
// it, which means that the servers' clock has changed.
func (s *Store) setReading(r *reading) {
	if old := s.reading.Load(); old != nil {
		server, within := old.at(r.local)
		if r.within > within && server.Sub(r.server).Abs() <= within+r.within {
			return
		}
	}
	s.reading.Store(r)
}
