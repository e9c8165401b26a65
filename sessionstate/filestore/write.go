package filestore

import (
	"container/list"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// job is something to be written. While one transaction is brought to the disk
// the jobs for the next one gather: they share the price of it.
type job struct {
	run  func(*bbolt.Bucket) (wrote bool)
	err  error
	done chan struct{}
	// bulk: it has many changes, for which few are to wait.
	bulk bool

	// Where it waits, guarded by the queue; place is nil when it does not.
	lane  *list.List
	place *list.Element
}

// bulk is from how many changes on a job is one of many.
const bulk = 33

// maxJobs is how many jobs share a transaction at most.
const maxJobs = 1024

// do has run called in a transaction, and returns when that is on the disk. If
// the context ends before the writer has taken the job it is never run.
func (s *Store) do(ctx context.Context, run func(*bbolt.Bucket) bool) error {
	return s.await(ctx, &job{run: run, done: make(chan struct{})})
}

// await has a job done, and returns when it is.
func (s *Store) await(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.jobs.add(sessionstate.SourceOf(ctx), j)
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		s.jobs.withdraw(j)
		return ctx.Err()
	}
}

// write does jobs until there are to be no more.
func (s *Store) write() {
	defer close(s.written)
	for {
		jobs := s.jobs.take(maxJobs)
		if len(jobs) == 0 {
			return
		}
		// Single changes do not wait for many: theirs is a transaction before.
		slices.SortStableFunc(jobs, func(a, b *job) int { return size(a) - size(b) })
		many := slices.IndexFunc(jobs, func(j *job) bool { return j.bulk })
		if many < 0 {
			many = len(jobs)
		}
		s.carryOut(jobs[:many])
		s.carryOut(jobs[many:])
	}
}

func size(j *job) int {
	if j.bulk {
		return 1
	}
	return 0
}

// carryOut does jobs in one transaction.
func (s *Store) carryOut(jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	err := s.attached()
	if err == nil {
		err = guard(func() error { return s.commit(jobs) })
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", s.path, err)
	}
	for _, j := range jobs {
		j.err = err
		close(j.done)
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
	if err := raiseSchema(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.count.Add(s.added)
	s.crowd()
	return nil
}

// raiseSchema notes in a file of an older schema that something was written that
// versions which know no other will not read.
func raiseSchema(tx *bbolt.Tx) error {
	b := tx.Bucket(meta)
	if binary.BigEndian.Uint32(b.Get(schemaKey)) >= schema {
		return nil
	}
	return b.Put(schemaKey, binary.BigEndian.AppendUint32(nil, schema))
}
