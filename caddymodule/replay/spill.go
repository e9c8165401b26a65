package replay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
)

// spillFile is a temporary file for states that do not fit in memory.
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

// maxWaiting bounds the bytes that wait to be written. Keys come in random order, so
// that writing many at once touches fewer pages for each. Tests lower it.
var maxWaiting = 16 << 20

// newSpillFile makes a file in a new directory within dir, "" for the system's.
func newSpillFile(dir string) (*spillFile, error) {
	dir, err := os.MkdirTemp(dir, "rudder-session-replay-")
	if err != nil {
		return nil, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "sessions.db"), 0o600, &bbolt.Options{
		// The file is not needed after a crash.
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

// flush writes the waiting values. The caller has the lock.
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

// each calls fn with every key that begins with a prefix, without the prefix.
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
