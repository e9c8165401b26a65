package filestore

import (
	"context"

	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// Chunk is how many sessions are read at a time.
const Chunk = scanChunk

// The schema, and the session format that belongs to it.
const (
	Schema      = schema
	WriteFormat = writeFormat
)

// The parts of the file.
var (
	ScrubKey       = scrubKey
	MetaBucket     = meta
	SchemaKey      = schemaKey
	SessionsBucket = sessions
)

// CompactFrom sets the size from which files are compacted, until back is called.
func CompactFrom(size int64) (back func()) {
	before := compactFrom
	compactFrom = size
	return func() { compactFrom = before }
}

// Transactions returns how many there have been.
func Transactions(s *Store) (n int) {
	s.db.View(func(tx *bbolt.Tx) error {
		n = tx.ID()
		return nil
	})
	return n
}

// Size returns the size of the file, without the space that was reserved in advance.
func Size(s *Store) (n int64) {
	s.db.View(func(tx *bbolt.Tx) error {
		n = tx.Size()
		return nil
	})
	return n
}

// InWriter calls fn when all earlier changes are on the disk, while nothing is being
// written.
func InWriter(s *Store, fn func()) error {
	return s.do(context.Background(), func(*bbolt.Bucket) bool {
		fn()
		return false
	})
}

// HoldWriter keeps the writer from taking jobs until release is called.
func HoldWriter(s *Store) (release func()) {
	held, released := make(chan struct{}), make(chan struct{})
	go InWriter(s, func() {
		close(held)
		<-released
	})
	<-held
	return func() { close(released) }
}

// Enqueue queues changes, and does not wait until they are written.
func Enqueue(s *Store, changes []sessionstate.Swap) {
	s.jobs.add("", &job{done: make(chan struct{}), run: func(b *bbolt.Bucket) bool {
		return s.swapAll(b, changes)
	}})
}

// Put writes a session that may be none.
func Put(s *Store, key string, value []byte) error {
	return s.do(context.Background(), func(b *bbolt.Bucket) bool {
		s.added++
		return b.Put([]byte(key), value) == nil
	})
}

// Waiting returns how many jobs the writer has not taken.
func Waiting(s *Store) int { return s.jobs.waiting() }

// Turns returns the indexes of the jobs, each of a source, that the writer takes for
// its next transaction.
func Turns(sources []string) (taken []int) {
	q := newQueue()
	numbers := map[*job]int{}
	for i, source := range sources {
		j := new(job)
		numbers[j] = i
		q.add(source, j)
	}
	for _, j := range q.take(maxJobs) {
		taken = append(taken, numbers[j])
	}
	return taken
}

// ToScrub reports whether free pages still have to be overwritten.
func ToScrub(s *Store) bool { return s.toScrub() != 0 }
