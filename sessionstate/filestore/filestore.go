// Package filestore keeps sessions in a file, a bbolt database: through crashes
// and restarts of the process, which has the file for itself.
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

// Errors of Open and of all methods name the file.
var (
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("the file is in use by another process")
	// ErrNewer: a later version of this program has written the file.
	ErrNewer = errors.New("the file was written by a newer version of this program")
	// ErrDamaged: what the file holds cannot be read.
	ErrDamaged = errors.New("the file is damaged")
)

// Store is a [sessionstate.Store] in a file.
type Store struct {
	db   *bbolt.DB
	file *os.File // the one that db has open
	path string
	log  Log

	jobs        *queue
	written     chan struct{}          // closed when the last job is done
	wasDetached bool                   // by what the writer found last
	moved       atomic.Pointer[string] // where the file is now, if that was said
	// reading is held by those who read pages, and kept from them while free pages
	// are overwritten.
	reading sync.RWMutex
	scrubs  chan struct{}
	// erase: free pages are to be overwritten now, not when it is time to.
	erase atomic.Bool

	keepAside atomic.Int64 // a duration, 0 for ever
	tidied    chan struct{}

	retention atomic.Int64 // milliseconds, 0 for ever
	retained  chan struct{}
	stop      context.CancelFunc

	bound    atomic.Int64 // sessions, 0 for any number
	count    atomic.Int64 // sessions on the disk
	added    int64        // by the transaction that is being written
	crowded  chan struct{}
	inUse    atomic.Pointer[func(key string) bool]
	sweeping sync.WaitGroup
}

// Log is told what nobody asked for. Its functions may be nil.
type Log struct {
	// SetAside: what stood under the path was no readable session file. It has
	// another name now, and an empty one is in its place.
	SetAside func(path, as string, why error)
	// Sweep: forgetting old sessions, or removing what is left of them, failed. It
	// is tried again later.
	Sweep func(error)
	// Skipped: something that the file can do without was not done when it was
	// opened, such as making it smaller.
	Skipped func(error)
	// Detached: the file is not under its path any more, and nothing is written to
	// it until it is. Attached: it is there again.
	Detached func(error)
	Attached func()
	// Removed: a file that was set aside was deleted, for its age.
	Removed func(path string)
}

// Open opens a session file, and creates it if there is none, for nobody but
// the user of the process to read. A file that is damaged, or is none of ours,
// is given another name. Open fails with ErrLocked after a second.
func Open(path string, log Log) (*Store, error) {
	db, file, err := open(path, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	count, err := counted(db)
	if err != nil {
		_ = guard(db.Close)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{
		db: db, file: file, path: path, log: log,
		jobs: newQueue(), written: make(chan struct{}),
		scrubs: make(chan struct{}, 1), tidied: make(chan struct{}, 1),
		retained: make(chan struct{}, 1), stop: stop,
		crowded: make(chan struct{}, 1),
	}
	s.count.Store(count)
	s.erase.Store(true) // what is noted in the file was to be done before
	go s.write()
	s.sweeping.Go(func() { s.sweep(ctx) })
	s.sweeping.Go(func() { s.makeRoom(ctx) })
	s.sweeping.Go(func() { s.scrubber(ctx) })
	s.sweeping.Go(func() { s.tidy(ctx) })
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

// CompareAndSwap returns when the changes are on the disk. If the context ends
// before they are, it may be that they are written later.
func (s *Store) CompareAndSwap(ctx context.Context, changes []sessionstate.Swap) {
	// The caller may be gone when the job is done.
	work := append([]sessionstate.Swap(nil), changes...)
	err := s.await(ctx, &job{bulk: len(work) >= bulk, done: make(chan struct{}), run: func(b *bbolt.Bucket) (wrote bool) {
		for i := range work {
			wrote = s.swap(b, &work[i]) || wrote
		}
		return wrote
	}})
	if err == nil {
		copy(changes, work)
		return
	}
	for i := range changes {
		changes[i].Done, changes[i].Err = false, err
	}
}

func (s *Store) swap(b *bbolt.Bucket, c *sessionstate.Swap) (wrote bool) {
	c.Done, c.Err = false, nil
	var version session.Version
	known := false
	if v := b.Get([]byte(c.Key)); v != nil {
		known = true
		if v, c.Err = plain([]byte(c.Key), v); c.Err == nil {
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

// Delete returns when the key is gone from the disk. What is left of it in pages
// that are not in use is overwritten in the background.
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

// scanned is how many sessions are read at a time: what is being read keeps the
// file from using its space again, so it must not take long.
const scanned = 1000

// Scan calls fn in the order of the keys, while no lock is held.
func (s *Store) Scan(ctx context.Context, fn func(string, *session.Session) error) error {
	type entry struct {
		key     string
		session *session.Session
	}
	entries := make([]entry, 0, scanned)
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

// chunk calls fn for some sessions, from key next on, and returns where to go
// on, or nil at the end.
func (s *Store) chunk(next []byte, fn func(k, v []byte) error) (more []byte, err error) {
	err = s.view(func(b *bbolt.Bucket) error {
		c := b.Cursor()
		n := 0
		for k, v := c.Seek(next); k != nil; k, v = c.Next() {
			if n++; n > scanned {
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

// view calls fn with the sessions of a moment.
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

// guard turns into an error what bbolt does where a file is not as it was
// written: it panics, or reads where the file has ended.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return fn()
}

// Close ends what goes on, and closes the file.
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
