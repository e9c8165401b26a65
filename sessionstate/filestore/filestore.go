// Package filestore keeps sessions in a file, a bbolt database, through crashes and
// restarts of the process. Only one process can open the file at a time.
package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Errors of Open and of all methods contain the file's path.
var (
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("the file is in use by another process")
	// ErrNewer: a later version of this program has written the file.
	ErrNewer = errors.New("the file was written by a newer version of this program")
	// ErrDamaged: the contents of the file cannot be read.
	ErrDamaged = errors.New("the file is damaged")
)

// Store is a [sessionstate.Store] in a file.
type Store struct {
	db   *bbolt.DB
	file *os.File // the file that db has open
	path string
	log  Log

	jobs        *queue
	written     chan struct{}          // closed when the last job is done
	wasDetached bool                   // the result of the writer's last check
	moved       atomic.Pointer[string] // the path to which the file was moved, if Is has found it
	// reading is read-locked while pages are read, and locked while free pages are
	// overwritten.
	reading   sync.RWMutex
	scrubWake chan struct{}
	// erase: overwrite free pages now, without waiting for scrubInterval.
	erase atomic.Bool

	keepAside atomic.Int64  // how long to keep files that were set aside; 0 is forever
	keepSet   chan struct{} // keepAside has changed

	retention    atomic.Int64  // milliseconds; 0 is forever
	retentionSet chan struct{} // retention has changed
	stop         context.CancelFunc

	bound     atomic.Int64 // sessions; 0 is no limit
	count     atomic.Int64 // sessions on the disk
	added     int64        // sessions, by the current transaction
	overBound chan struct{}
	inUse     atomic.Pointer[func(key string) bool]
	sweeping  sync.WaitGroup
}

// Log has functions that the store calls about events in the background. They may be
// nil.
type Log struct {
	// SetAside: the file at the path was not a readable session file. It was renamed,
	// and replaced by an empty one.
	SetAside func(path, as string, why error)
	// Sweep: forgetting old sessions, or erasing what is left of them, failed. It is
	// retried later.
	Sweep func(error)
	// Skipped: an optional step of opening the file failed, such as compacting it.
	Skipped func(error)
	// Detached: the file is no longer at its path, and nothing is written to it until
	// it is back. Attached: it is back.
	Detached func(error)
	Attached func()
	// Removed: a file that was set aside was deleted because of its age.
	Removed func(path string)
}

// Open opens a session file, or creates one that only the user of the process can
// read. A file that is damaged, or is not a session file, is renamed and replaced by
// an empty one. If another process has the file open, Open fails with ErrLocked after
// a second.
func Open(path string, log Log) (*Store, error) {
	db, file, err := open(path, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	count, err := countSessions(db)
	if err != nil {
		_ = guard(db.Close)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{
		db: db, file: file, path: path, log: log,
		jobs: newQueue(), written: make(chan struct{}),
		scrubWake: make(chan struct{}, 1), keepSet: make(chan struct{}, 1),
		retentionSet: make(chan struct{}, 1), stop: stop,
		overBound: make(chan struct{}, 1),
	}
	s.count.Store(count)
	s.erase.Store(true) // scrubbing that an earlier process has left is overdue
	go s.write()
	s.sweeping.Go(func() { s.sweep(ctx) })
	s.sweeping.Go(func() { s.makeRoom(ctx) })
	s.sweeping.Go(func() { s.scrubber(ctx) })
	s.sweeping.Go(func() { s.expireSetAside(ctx) })
	return s, nil
}

// Get returns the session of a key, or nil.
func (s *Store) Get(_ context.Context, key string) (found *session.Session, err error) {
	err = s.view(func(b *bbolt.Bucket) (err error) {
		if v := b.Get([]byte(key)); v != nil {
			found, err = decode([]byte(key), v)
		}
		return err
	})
	return found, err
}

// CompareAndSwap returns when the changes are on the disk. If the context ends first,
// they may still be written later.
func (s *Store) CompareAndSwap(ctx context.Context, changes []sessionstate.Swap) {
	// A copy, because the caller may have returned before the job is done.
	work := append([]sessionstate.Swap(nil), changes...)
	err := s.await(ctx, &job{bulk: len(work) >= bulkSize, done: make(chan struct{}), run: func(b *bbolt.Bucket) bool {
		return s.swapAll(b, work)
	}})
	if err == nil {
		copy(changes, work)
		return
	}
	for i := range changes {
		changes[i].Done, changes[i].Err = false, err
	}
}

func (s *Store) swapAll(b *bbolt.Bucket, changes []sessionstate.Swap) (wrote bool) {
	for i := range changes {
		wrote = s.swap(b, &changes[i]) || wrote
	}
	return wrote
}

func (s *Store) swap(b *bbolt.Bucket, c *sessionstate.Swap) (wrote bool) {
	c.Done, c.Err = false, nil
	var version session.Version
	known := false
	if v := b.Get([]byte(c.Key)); v != nil {
		known = true
		if v, c.Err = verified([]byte(c.Key), v); c.Err == nil {
			version, c.Err = session.VersionOf(v)
		}
		if c.Err != nil {
			return false
		}
	}
	if version != c.Old {
		return false
	}
	if !known && s.isFull(s.count.Load()+s.added) {
		c.Err = sessionstate.ErrFull
		return false
	}
	c.Err = b.Put([]byte(c.Key), encode(c.Key, c.Next))
	c.Done = c.Err == nil
	if c.Done && !known {
		s.added++
	}
	return c.Done
}

// Delete returns when the deletion is on the disk. What is left of the session in free
// pages is overwritten in the background.
func (s *Store) Delete(ctx context.Context, key string) error {
	var failed error
	err := s.do(ctx, func(b *bbolt.Bucket) bool {
		if b.Get([]byte(key)) == nil {
			return false
		}
		if failed = b.Delete([]byte(key)); failed == nil {
			s.added--
			failed = noteScrub(b.Tx())
		}
		return failed == nil
	})
	if err != nil {
		return err
	}
	s.eraseNow()
	return failed
}

// scanChunk is how many sessions are read in one transaction. An open read transaction
// keeps bbolt from reusing freed pages, so it must be short.
const scanChunk = 1000

// Scan calls fn in the order of the keys. It holds no lock meanwhile.
func (s *Store) Scan(ctx context.Context, fn func(string, *session.Session) error) error {
	type entry struct {
		key     string
		session *session.Session
	}
	entries := make([]entry, 0, scanChunk)
	for next := []byte(nil); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries = entries[:0]
		more, err := s.chunk(next, func(k, v []byte) error {
			stored, err := decode(k, v)
			entries = append(entries, entry{string(k), stored})
			return err
		})
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := fn(e.key, e.session); err != nil {
				return err
			}
		}
		if next = more; next == nil {
			return nil
		}
	}
}

// chunk calls fn for up to scanChunk sessions, from key next on. It returns the next
// key, or nil at the end.
func (s *Store) chunk(next []byte, fn func(k, v []byte) error) (more []byte, err error) {
	err = s.view(func(b *bbolt.Bucket) error {
		c := b.Cursor()
		n := 0
		for k, v := c.Seek(next); k != nil; k, v = c.Next() {
			if n++; n > scanChunk {
				more = append([]byte(nil), k...)
				return nil
			}
			if err := fn(k, v); err != nil {
				return err
			}
		}
		return nil
	})
	return more, err
}

// view calls fn with a consistent snapshot of the sessions.
func (s *Store) view(fn func(*bbolt.Bucket) error) error {
	s.reading.RLock()
	defer s.reading.RUnlock()
	err := guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error { return fn(tx.Bucket(sessions)) })
	})
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	return nil
}

// guard returns an error if fn panics or faults, as bbolt does with a damaged or
// truncated file.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return fn()
}

// Close stops the background work, writes the waiting jobs and closes the file.
func (s *Store) Close() error {
	s.stop()
	s.sweeping.Wait()
	s.jobs.close()
	<-s.written
	return s.db.Close()
}

// Interface guards
var (
	_ sessionstate.Forgetful    = (*Store)(nil)
	_ sessionstate.Detachable   = (*Store)(nil)
	_ sessionstate.LeavesTraces = (*Store)(nil)
)
