package filestore

import (
	"context"

	"go.etcd.io/bbolt"
)

// Chunk is how many sessions are read at a time.
const Chunk = scanned

// What the file consists of.
var (
	MetaBucket     = meta
	SchemaKey      = schemaKey
	SessionsBucket = sessions
)

// CompactFrom sets from which size on files are written anew, until back is
// called.
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

// Size returns how large the file is, without what it was grown by in advance.
func Size(s *Store) (n int64) {
	s.db.View(func(tx *bbolt.Tx) error {
		n = tx.Size()
		return nil
	})
	return n
}

// InWriter calls fn when all that was asked for before is on the disk, and
// nothing else is being written.
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

// Waiting returns how many jobs the writer has not taken, those included that
// nobody waits for any more.
func Waiting(s *Store) int { return len(s.jobs) }
