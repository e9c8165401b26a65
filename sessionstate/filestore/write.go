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

// job is work for the writer. While one transaction is written to the disk, jobs for the
// next one collect, and share its cost.
type job struct {
	run  func(*bbolt.Bucket) (wrote bool)
	err  error
	done chan struct{}
	// bulk: the job has so many changes that others should not wait for it.
	bulk bool

	// The position in the queue, guarded by the queue's mutex; element is nil if the
	// job is not queued.
	queue   *list.List
	element *list.Element
}

// bulkSize is the number of changes from which a job is bulk.
const bulkSize = 33

// maxJobs limits the jobs in one transaction.
const maxJobs = 1024

// do calls run in a transaction, and returns when that is on the disk. If the context
// ends before the writer has taken the job, run is never called.
func (s *Store) do(ctx context.Context, run func(*bbolt.Bucket) bool) error {
	return s.await(ctx, &job{run: run, done: make(chan struct{})})
}

// await queues a job, and returns when it is done.
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

// write carries out jobs until the queue is closed.
func (s *Store) write() {
	defer close(s.written)
	for {
		jobs := s.jobs.take(maxJobs)
		if len(jobs) == 0 {
			return
		}
		// Bulk jobs go into a second transaction, so that others do not wait for them.
		slices.SortStableFunc(jobs, func(a, b *job) int { return rank(a) - rank(b) })
		firstBulk := slices.IndexFunc(jobs, func(j *job) bool { return j.bulk })
		if firstBulk < 0 {
			firstBulk = len(jobs)
		}
		s.carryOut(jobs[:firstBulk])
		s.carryOut(jobs[firstBulk:])
	}
}

func rank(j *job) int {
	if j.bulk {
		return 1
	}
	return 0
}

// carryOut carries out jobs in one transaction.
func (s *Store) carryOut(jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	err := s.checkAttached()
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
	s.trimSoon()
	return nil
}

// raiseSchema updates the schema number of a file with an older one, because versions
// that know only the older schema cannot read what is now written.
func raiseSchema(tx *bbolt.Tx) error {
	b := tx.Bucket(meta)
	if binary.BigEndian.Uint32(b.Get(schemaKey)) >= schema {
		return nil
	}
	return b.Put(schemaKey, binary.BigEndian.AppendUint32(nil, schema))
}
