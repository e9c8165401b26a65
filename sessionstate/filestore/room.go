package filestore

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// slack is how many sessions more than the bound there may be for a while: so
// many can come while room is made. As many below it is made room for.
func slack(bound int64) int64 { return max(bound/16, 1000) }

// Bound sets how many sessions are kept; 0 for any number. Of more than that,
// those not seen for longest are forgotten in the background.
func (s *Store) Bound(sessions int64) {
	// A file that was just opened is not made room in before something is written:
	// nobody knows yet which of its sessions are in use.
	if s.bound.Swap(sessions) != 0 {
		s.crowd()
	}
}

// Full reports whether no new session is taken.
func (s *Store) Full() bool { return s.isFull(s.count.Load()) }

func (s *Store) isFull(count int64) bool {
	bound := s.bound.Load()
	return bound > 0 && count >= bound+slack(bound)
}

// Spare is called once, before all else, and tells which sessions are in use:
// they make room last.
func (s *Store) Spare(inUse func(key string) bool) { s.inUse.Store(&inUse) }

// crowd has room made where there are more sessions than there may be.
func (s *Store) crowd() {
	if bound := s.bound.Load(); bound == 0 || s.count.Load() <= bound {
		return
	}
	select {
	case s.crowded <- struct{}{}:
	default:
	}
}

// makeRoom forgets sessions whenever there are too many, until the context ends.
func (s *Store) makeRoom(ctx context.Context) {
	for {
		select {
		case <-s.crowded:
		case <-ctx.Done():
			return
		}
		err := s.thin(ctx)
		if err != nil && ctx.Err() == nil && s.log.Sweep != nil {
			s.log.Sweep(err)
		}
		if err != nil && sleep(ctx, soonestSweep, nil) == ended {
			return
		}
		s.crowd()
	}
}

// thin forgets the sessions not seen for longest, until there are a little fewer
// than there may be; those in use only where the others are not enough.
func (s *Store) thin(ctx context.Context) error {
	for _, all := range []bool{false, true} {
		bound := s.bound.Load()
		if bound == 0 || s.count.Load() <= bound {
			return nil
		}
		goal := bound - min(slack(bound), bound/16)
		spare := s.inUse.Load()
		if all {
			spare = nil
		}
		// What is sampled tells the moment to within a few thousandths: a second
		// round may be needed.
		for range 3 {
			before, err := s.moment(ctx, spare, s.count.Load()-goal)
			if err != nil {
				return err
			}
			if err := s.forgetBefore(ctx, spare, before, goal); err != nil {
				return err
			}
			if s.count.Load() <= bound {
				break
			}
		}
	}
	return nil
}

// sampled is how many sessions are asked when they were seen.
const sampled = 1 << 16

// moment returns one, in Unix milliseconds, that so many sessions were last seen
// at or before.
func (s *Store) moment(ctx context.Context, spare *func(string) bool, sessions int64) (int64, error) {
	sample, n := make([]int64, 0, 1024), int64(0)
	err := s.eachSeen(ctx, spare, func(_, _ []byte, seen int64) {
		n++
		if len(sample) < sampled {
			sample = append(sample, seen)
		} else if i := rand.Int64N(n); i < sampled {
			sample[i] = seen
		}
	}, func() (bool, error) { return true, nil })
	if err != nil || n == 0 {
		return 0, err
	}
	slices.Sort(sample)
	at := min(sessions, n) * int64(len(sample)) / n
	return sample[min(max(at-1, 0), int64(len(sample)-1))], nil
}

// forgetBefore forgets sessions that were last seen at a moment or before, until
// no more than goal are left.
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

// eachSeen calls fn with each session that is not spared, and chunk behind some
// of them, until that returns false.
func (s *Store) eachSeen(ctx context.Context, spare *func(string) bool, fn func(k, v []byte, seen int64), chunk func() (more bool, err error)) error {
	for next := []byte(nil); ; {
		var err error
		next, err = s.chunk(next, func(k, v []byte) error {
			if spare != nil && (*spare)(string(k)) {
				return nil
			}
			form, err := plain(k, v)
			if err != nil {
				return nil //nolint:nilerr // it is no use to anybody, but not for this to find out
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

// counted returns how many sessions a file has.
func counted(db *bbolt.DB) (n int64, err error) {
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
