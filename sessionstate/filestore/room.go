package filestore

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// slack is by how much the number of sessions may exceed the bound for a while, and by
// how much room is made below it: so many sessions can be added while room is made.
func slack(bound int64) int64 { return max(bound/16, 1000) }

// Bound sets how many sessions are kept; 0 is no limit. Beyond that, the sessions that
// were not seen for the longest time are forgotten in the background.
func (s *Store) Bound(sessions int64) {
	// In a file that was just opened, no room is made before the first write, because
	// it is not yet known which sessions are in use.
	if s.bound.Swap(sessions) != 0 {
		s.trimSoon()
	}
}

// Full reports whether new sessions are refused.
func (s *Store) Full() bool { return s.isFull(s.count.Load()) }

func (s *Store) isFull(count int64) bool {
	bound := s.bound.Load()
	return bound > 0 && count >= bound+slack(bound)
}

// Spare sets which sessions are in use; they are forgotten last. It is called once,
// before any other method.
func (s *Store) Spare(inUse func(key string) bool) { s.inUse.Store(&inUse) }

// trimSoon wakes makeRoom if there are more sessions than the bound.
func (s *Store) trimSoon() {
	if bound := s.bound.Load(); bound == 0 || s.count.Load() <= bound {
		return
	}
	select {
	case s.overBound <- struct{}{}:
	default:
	}
}

// makeRoom forgets sessions whenever there are too many, until the context ends.
func (s *Store) makeRoom(ctx context.Context) {
	for {
		select {
		case <-s.overBound:
		case <-ctx.Done():
			return
		}
		err := s.trim(ctx)
		if err != nil && ctx.Err() == nil && s.log.Sweep != nil {
			s.log.Sweep(err)
		}
		if err != nil && sleep(ctx, minSweepInterval, nil) == ended {
			return
		}
		s.trimSoon()
	}
}

// trim forgets the sessions that were not seen for the longest time, until there are
// a little fewer than the bound. It forgets those in use only if the others are not
// enough.
func (s *Store) trim(ctx context.Context) error {
	spare := s.inUse.Load()
	// More than one round may be needed: the sample of a large file gives the time only to
	// within a few thousandths, and sessions may come as fast as others are forgotten.
	for {
		bound := s.bound.Load()
		if bound == 0 || s.count.Load() <= bound {
			return nil
		}
		goal := bound - min(slack(bound), bound/16)
		surplus := s.count.Load() - goal
		before, others, err := s.seenQuantile(ctx, spare, surplus)
		if err != nil {
			return err
		}
		if err := s.forgetBefore(ctx, spare, before, goal); err != nil {
			return err
		}
		if others == 0 && spare == nil {
			return errNothingReadable
		}
		if others < surplus {
			spare = nil
		}
	}
}

var errNothingReadable = errors.New("there are more sessions than max_sessions, and none of them can be read")

// sampleSize is how many sessions the estimate of seenQuantile is based on.
const sampleSize = 1 << 16

// seenQuantile estimates the time, in Unix milliseconds, at or before which so many
// sessions were last seen. It also returns how many there are, without the spared.
func (s *Store) seenQuantile(ctx context.Context, spare *func(string) bool, sessions int64) (moment, n int64, err error) {
	sample := make([]int64, 0, 1024)
	err = s.eachSeen(ctx, spare, func(_, _ []byte, seen int64) {
		n++
		if len(sample) < sampleSize {
			sample = append(sample, seen)
		} else if i := rand.Int64N(n); i < sampleSize {
			sample[i] = seen
		}
	}, func() (bool, error) { return true, nil })
	if err != nil || n == 0 {
		return 0, n, err
	}
	slices.Sort(sample)
	at := min(sessions, n) * int64(len(sample)) / n
	return sample[min(max(at-1, 0), int64(len(sample)-1))], n, nil
}

// forgetBefore forgets sessions that were last seen at or before a time, until no more
// than goal are left.
func (s *Store) forgetBefore(ctx context.Context, spare *func(string) bool, moment, goal int64) error {
	var old [][2][]byte
	return s.eachSeen(ctx, spare, func(k, v []byte, seen int64) {
		if seen <= moment {
			old = append(old, [2][]byte{bytes.Clone(k), bytes.Clone(v)})
		}
	}, func() (bool, error) {
		old = old[:min(int64(len(old)), max(s.count.Load()-goal, 0))]
		if len(old) > 0 {
			if _, err := s.forget(ctx, old); err != nil {
				return false, err
			}
			old = old[:0]
		}
		return s.count.Load() > goal, nil
	})
}

// eachSeen calls fn with each session that is not spared. After every scanChunk
// sessions it calls chunk, and stops if that returns false.
func (s *Store) eachSeen(ctx context.Context, spare *func(string) bool, fn func(k, v []byte, seen int64), chunk func() (more bool, err error)) error {
	for next := []byte(nil); ; {
		var err error
		next, err = s.chunk(next, func(k, v []byte) error {
			if spare != nil && (*spare)(string(k)) {
				return nil
			}
			form, err := verified(k, v)
			if err != nil {
				return nil //nolint:nilerr // reading the session will report it
			}
			if seen, err := session.SeenOf(form); err == nil {
				fn(k, v, seen)
			}
			return nil
		})
		if err != nil {
			return err
		}
		more, err := chunk()
		if err != nil || !more || next == nil {
			return err
		}
		if sleep(ctx, time.Microsecond, nil) == ended {
			return ctx.Err()
		}
	}
}

// countSessions counts the sessions in a file.
func countSessions(db *bbolt.DB) (n int64, err error) {
	err = guard(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			n = int64(tx.Bucket(sessions).Stats().KeyN)
			return nil
		})
	})
	return n, err
}

// Interface guard
var _ sessionstate.Bounded = (*Store)(nil)
