package filestore

import (
	"bytes"
	"context"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

const (
	// A sweep for old sessions starts sixteen times per retention, but within these
	// limits.
	minSweepInterval = time.Second
	maxSweepInterval = time.Hour
	// sweepPause is the pause between two chunks: a sweep of a million sessions takes
	// ten seconds.
	sweepPause = 10 * time.Millisecond
)

// Retain sets the retention.
func (s *Store) Retain(retention int64) {
	if s.retention.Swap(retention) != retention {
		select {
		case s.retentionSet <- struct{}{}:
		default:
		}
	}
}

// sweep forgets old sessions at intervals, until the context ends.
func (s *Store) sweep(ctx context.Context) {
	var steady sessionstate.Steady
	for {
		steady.At(time.Now().UnixMilli(), time.Now())
		pause := maxSweepInterval
		if retention := s.retention.Load(); retention > 0 {
			pause = max(min(time.Duration(retention)*time.Millisecond/16, pause), minSweepInterval)
		}
		switch sleep(ctx, pause, s.retentionSet) {
		case ended:
			return
		case woken:
			continue
		}
		now := time.Now()
		if !steady.At(now.UnixMilli(), now) {
			continue // the clock has jumped: all sessions could seem to be old
		}
		if _, err := s.Sweep(ctx, now.UnixMilli()); err != nil && ctx.Err() == nil && s.log.Sweep != nil {
			s.log.Sweep(err)
		}
	}
}

type wake int

const (
	elapsed wake = iota
	woken
	ended
)

func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) wake {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return elapsed
	case <-wake:
		return woken
	case <-ctx.Done():
		return ended
	}
}

// Sweep forgets the sessions that at time now, in Unix milliseconds, had not been seen
// for the retention, a chunk at a time. It returns how many it has forgotten.
func (s *Store) Sweep(ctx context.Context, now int64) (n int, err error) {
	policy := &session.Policy{Retention: s.retention.Load()}
	if policy.Retention == 0 {
		return 0, nil
	}
	for next := []byte(nil); ; {
		var old [][2][]byte // pairs of key and value
		next, err = s.chunk(next, func(k, v []byte) error {
			form, err := verified(k, v)
			var seen int64
			if err == nil {
				seen, err = session.SeenOf(form)
			}
			if err == nil && policy.Expired(&session.Session{Seen: seen}, now) {
				old = append(old, [2][]byte{bytes.Clone(k), bytes.Clone(v)})
			}
			return nil
		})
		if err == nil && len(old) > 0 {
			var gone int
			gone, err = s.forget(ctx, old)
			n += gone
		}
		if err != nil || next == nil {
			return n, err
		}
		if sleep(ctx, sweepPause, nil) == ended {
			return n, ctx.Err()
		}
	}
}

// forget deletes pairs of key and value, except those that have changed since.
func (s *Store) forget(ctx context.Context, old [][2][]byte) (n int, err error) {
	gone := make(chan int, 1)
	err = s.do(ctx, func(b *bbolt.Bucket) bool {
		n := 0
		for _, o := range old {
			if bytes.Equal(b.Get(o[0]), o[1]) && b.Delete(o[0]) == nil {
				n++
			}
		}
		s.added -= int64(n)
		gone <- n
		// An error here would fail the commit, too.
		return n > 0 && noteScrub(b.Tx()) == nil
	})
	if err != nil {
		return 0, err
	}
	s.wakeScrubber()
	return <-gone, nil
}
