package filestore

import (
	"context"
	"fmt"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// job is something to be written. While one transaction is brought to the disk
// the jobs for the next one gather: they share the price of it.
type job struct {
	run func(*bbolt.Bucket) (wrote bool)
	// taken is set by the writer, or by who gave up waiting before it.
	taken atomic.Bool
	err   error
	done  chan struct{}
}

// maxJobs is how many jobs share a transaction at most.
const maxJobs = 1024

// do has run called in a transaction, and returns when that is on the disk.
func (s *Store) do(ctx context.Context, run func(*bbolt.Bucket) bool) error {
	j := &job{run: run, done: make(chan struct{})}
	select {
	case s.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		j.taken.Store(true)
		return ctx.Err()
	}
}

// write does jobs until there are to be no more.
func (s *Store) write() {
	defer close(s.written)
	for first := range s.jobs {
		jobs := s.gather(first)
		if len(jobs) == 0 {
			continue
		}
		err := guard(func() error { return s.commit(jobs) })
		if err != nil {
			err = fmt.Errorf("%s: %w", s.path, err)
		}
		for _, j := range jobs {
			j.err = err
			close(j.done)
		}
	}
}

// gather takes what waits and is still wanted.
func (s *Store) gather(first *job) (jobs []*job) {
	for j := first; ; {
		if j.taken.CompareAndSwap(false, true) {
			jobs = append(jobs, j)
		}
		if len(jobs) == maxJobs {
			return jobs
		}
		var open bool
		select {
		case j, open = <-s.jobs:
			if !open {
				return jobs
			}
		default:
			return jobs
		}
	}
}

func (s *Store) commit(jobs []*job) error {
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after a commit
	b := tx.Bucket(sessions)
	s.added = 0
	wrote := false
	for _, j := range jobs {
		wrote = j.run(b) || wrote
	}
	if !wrote {
		return nil
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.count.Add(s.added)
	s.crowd()
	return nil
}
