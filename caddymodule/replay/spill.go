package replay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// spillFile is a temporary file for what does not fit in memory.
type spillFile struct {
	dir string
	db  *bbolt.DB

	mu sync.Mutex
	// waiting are values that are not in the file yet; bytes is their size.
	waiting map[string][]byte
	bytes   int
	used    bool
	err     error
}

var spillBucket = []byte("spilled")

// maxWaiting bounds the bytes that wait to be written. Many at once take fewer
// writes, as the keys are in no order.
const maxWaiting = 16 << 20

// newSpillFile makes a file in a new directory within dir, "" for the system's.
func newSpillFile(dir string) (*spillFile, error) {
	dir, err := os.MkdirTemp(dir, "rudder-session-replay-")
	if err != nil {
		return nil, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "sessions.db"), 0o600, &bbolt.Options{
		// Nobody reads it after a crash.
		NoSync: true, NoGrowSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if err == nil {
		err = db.Update(func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket(spillBucket)
			return err
		})
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &spillFile{dir: dir, db: db, waiting: map[string][]byte{}}, nil
}

// close deletes the file.
func (f *spillFile) close() error { return errors.Join(f.db.Close(), os.RemoveAll(f.dir)) }

// failed returns the first error of reading or writing the file.
func (f *spillFile) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return fmt.Errorf("the temporary store: %w", f.err)
	}
	return nil
}

func (f *spillFile) put(key string, value []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting[key] = value
	if f.bytes += len(key) + len(value); f.bytes >= maxWaiting {
		f.flush()
	}
}

// flush writes what waits. The caller has the lock.
func (f *spillFile) flush() {
	keys := make([]string, 0, len(f.waiting))
	for key := range f.waiting {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	err := f.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(spillBucket)
		for _, key := range keys {
			if err := b.Put([]byte(key), f.waiting[key]); err != nil {
				return err
			}
		}
		return nil
	})
	if f.err == nil {
		f.err = err
	}
	clear(f.waiting)
	f.bytes, f.used = 0, true
}

// get returns a copy of the value of a key, or nil.
func (f *spillFile) get(key string) (value []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if value := f.waiting[key]; value != nil {
		return slices.Clone(value)
	}
	if !f.used {
		return nil
	}
	err := f.db.View(func(tx *bbolt.Tx) error {
		value = slices.Clone(tx.Bucket(spillBucket).Get([]byte(key)))
		return nil
	})
	if f.err == nil {
		f.err = err
	}
	return value
}

// each calls fn with every key that begins so, without that prefix.
func (f *spillFile) each(prefix byte, fn func(key string, value []byte)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flush()
	err := f.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(spillBucket).Cursor()
		for k, v := c.Seek([]byte{prefix}); len(k) > 0 && k[0] == prefix; k, v = c.Next() {
			fn(string(k[1:]), v)
		}
		return nil
	})
	if f.err == nil {
		f.err = err
	}
}

// spill is a map of bounded memory: what was used last is in memory, the rest in a
// file. The keys of a lane (see [sessionstate.Lane]) have a memory of their own, with
// a lock of its own.
type spill[V any] struct {
	file   *spillFile
	prefix byte // of the keys in the file
	encode func(V) []byte
	decode func([]byte) V
	lanes  [sessionstate.Lanes]spillLane[V]
}

type spillLane[V any] struct {
	mu     sync.Mutex
	recent *simplelru.LRU[string, V]
	size   int
}

// newSpill makes a map that has about so many values in memory.
func newSpill[V any](file *spillFile, prefix byte, size int, encode func(V) []byte, decode func([]byte) V) *spill[V] {
	s := &spill[V]{file: file, prefix: prefix, encode: encode, decode: decode}
	for i := range s.lanes {
		l := &s.lanes[i]
		l.size = max(size/len(s.lanes), 1)
		l.recent, _ = simplelru.NewLRU[string, V](l.size, nil) // the error is of a size below 1
	}
	return s
}

func (s *spill[V]) lane(key string) *spillLane[V] { return &s.lanes[sessionstate.Lane(key)] }

// get returns the value of a key. The caller has the lane's lock.
func (s *spill[V]) get(l *spillLane[V], key string) (value V, found bool) {
	if value, found = l.recent.Get(key); found {
		return value, true
	}
	stored := s.file.get(string(s.prefix) + key)
	if stored == nil {
		return value, false
	}
	value = s.decode(stored)
	s.put(l, key, value)
	return value, true
}

// put sets the value of a key, of which it keeps a copy only if it is new. The caller
// has the lane's lock.
func (s *spill[V]) put(l *spillLane[V], key string, value V) {
	if l.recent.Contains(key) {
		l.recent.Add(key, value)
		return
	}
	for l.recent.Len() >= l.size {
		oldest, spilled, _ := l.recent.RemoveOldest()
		s.file.put(string(s.prefix)+oldest, s.encode(spilled))
	}
	l.recent.Add(strings.Clone(key), value)
}

// each calls fn with every value, those in memory first.
func (s *spill[V]) each(fn func(key string, value V)) {
	for i := range s.lanes {
		l := &s.lanes[i]
		for _, key := range l.recent.Keys() {
			value, _ := l.recent.Peek(key)
			fn(key, value)
		}
	}
	s.file.each(s.prefix, func(key string, value []byte) {
		if !s.lane(key).recent.Contains(key) {
			fn(key, s.decode(value))
		}
	})
}
