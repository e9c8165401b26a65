package filestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The buckets of the file. The first holds what the file is, the second the
// sessions by key.
var (
	meta      = []byte("rudder_session")
	schemaKey = []byte("schema")
	sessions  = []byte("sessions")
)

// schema is the version of what is in the buckets. It goes up with
// [sessionstate.WriteFormat], and whenever anything else changes that an earlier
// version would not understand: that then leaves the file alone. A file keeps the
// number that it has until something newer is written to it.
//
//	1  session formats 1 to 3
//	2  session format 4
const schema = 2

// writeFormat is the session format that belongs to schema.
const writeFormat = 4

const lockTimeout = time.Second

// A file of more than this, of which less than half is used, is written anew.
var compactFrom int64 = 32 << 20

var errForeign = errors.New("it is no session file")

// errNotRegular says that a path leads to something that is no file.
var errNotRegular = errors.New("it is no file")

// open opens the file. Where it cannot be read it is set aside, once.
func open(path string, log Log) (*bbolt.DB, *os.File, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	// To open a pipe or a device may wait for ever, or do something.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%w, but %v", errNotRegular, info.Mode().Type())
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, err
	}
	db, file, err := openReadable(path)
	if errors.Is(err, ErrDamaged) || errors.Is(err, errForeign) {
		as, failed := setAside(path)
		if failed != nil {
			return nil, nil, fmt.Errorf("%w; setting it aside: %w", err, failed)
		}
		if log.SetAside != nil {
			log.SetAside(path, as, err)
		}
		db, file, err = openReadable(path)
	}
	if err != nil {
		return nil, nil, err
	}
	return tidied(db, file, path, log)
}

// tidied does what a file can do without: where it fails the file is used as it is.
func tidied(db *bbolt.DB, file *os.File, path string, log Log) (*bbolt.DB, *os.File, error) {
	skipped := func(what string, err error) {
		if err != nil && log.Skipped != nil {
			log.Skipped(fmt.Errorf("%s: %s: %w", path, what, err))
		}
	}
	leftover := os.Remove(path + compacting)
	if errors.Is(leftover, fs.ErrNotExist) {
		leftover = nil
	}
	skipped("removing what an earlier try to make it smaller has left", leftover)
	var smaller bool
	err := guard(func() (err error) {
		smaller, err = compact(db, path)
		return err
	})
	skipped("making it smaller", err)
	if !smaller {
		return db, file, nil
	}
	if err := db.Close(); err != nil {
		skipped("closing the larger one", err)
	}
	return openFile(path)
}

// openReadable opens the file and reads all of it, so that no request finds out
// that it cannot be read.
func openReadable(path string) (*bbolt.DB, *os.File, error) {
	if err := inspect(path); err != nil {
		return nil, nil, err
	}
	db, file, err := openFile(path)
	if err != nil {
		return nil, nil, err
	}
	if err = guard(func() error { return check(db) }); err == nil {
		return db, file, nil
	}
	// Where closing panics there is nothing that could still be done.
	_ = guard(db.Close)
	return nil, nil, err
}

// inspect reads the file, where there is one, while nobody can write to it.
func inspect(path string) error {
	// What became a pipe since it was looked at is not waited for.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return err
	}
	// It has a lock, and has read no more than the meta pages.
	reader, _, err := openBolt(path, bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer reader.Close()
	if info, err = file.Stat(); err != nil {
		return err
	}
	return verify(file, info.Size(), func(buckets [][]byte, key, value []byte) error {
		switch {
		case len(buckets) != 1:
		case bytes.Equal(buckets[0], meta) && bytes.Equal(key, schemaKey):
			// It comes before all sessions: in a newer schema they may be anything.
			_, err := readSchema(value)
			return err
		case bytes.Equal(buckets[0], sessions):
			_, err := decode(key, value)
			return err
		}
		return nil
	})
}

// readSchema reads the number of a file's schema.
func readSchema(v []byte) (uint32, error) {
	if len(v) != 4 {
		return 0, errForeign
	}
	n := binary.BigEndian.Uint32(v)
	if n > schema {
		return n, fmt.Errorf("%w: its schema is %d, the newest known %d", ErrNewer, n, schema)
	}
	return n, nil
}

// openFile opens and locks the file that has this path when it is locked.
func openFile(path string) (*bbolt.DB, *os.File, error) {
	for {
		db, file, err := openBolt(path, bbolt.Options{FreelistType: bbolt.FreelistMapType})
		if err != nil {
			return nil, nil, err
		}
		// Another process may have put a file in its place while it was waited for.
		opened, err := file.Stat()
		if err != nil {
			db.Close()
			return nil, nil, err
		}
		if there, err := os.Stat(path); err == nil && os.SameFile(opened, there) {
			return db, file, nil
		}
		db.Close()
	}
}

// openBolt opens a file with bbolt, and tells its errors apart.
func openBolt(path string, o bbolt.Options) (db *bbolt.DB, file *os.File, err error) {
	o.Timeout, o.NoStatistics = lockTimeout, true
	o.OpenFile = func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}
	err = guard(func() (err error) {
		db, err = bbolt.Open(path, 0o600, &o)
		return err
	})
	switch {
	case err == nil:
		return db, file, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		err = ErrLocked
	case errors.Is(err, ErrDamaged):
		file.Close() // bbolt has panicked, and holds the lock
	case errors.Is(err, bolterrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", ErrNewer, err)
	case errors.As(err, new(syscall.Errno)):
		// It may be readable another time.
	default:
		err = fmt.Errorf("%w: %w", errForeign, err)
	}
	return nil, nil, err
}

// check makes the buckets of a new file, and reads those of an old one.
func check(db *bbolt.DB) error {
	fresh := false
	err := db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(meta)
		if b == nil {
			if k, _ := tx.Cursor().First(); k != nil {
				return errForeign
			}
			fresh = true
			return nil
		}
		if _, err := readSchema(b.Get(schemaKey)); err != nil {
			return err
		}
		if tx.Bucket(sessions) == nil {
			return errForeign
		}
		return tx.Bucket(sessions).ForEach(func(k, v []byte) error {
			if _, err := decode(k, v); err != nil && !errors.Is(err, ErrNewer) {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			} else if err != nil {
				return err
			}
			return nil
		})
	})
	if err != nil || !fresh {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(meta)
		if err != nil {
			return err
		}
		if err := b.Put(schemaKey, binary.BigEndian.AppendUint32(nil, schema)); err != nil {
			return err
		}
		_, err = tx.CreateBucket(sessions)
		return err
	})
}

// compacting is added to the name of a file while it is written anew.
const compacting = ".compacting"

// compact writes a file anew that is mostly empty: bbolt gives no space back. It
// reports whether another file is under the path now.
func compact(db *bbolt.DB, path string) (done bool, err error) {
	var size, used int64
	err = db.View(func(tx *bbolt.Tx) error {
		if size = tx.Size(); size >= compactFrom {
			stats := tx.Bucket(sessions).Stats()
			used = int64(stats.BranchAlloc + stats.LeafAlloc)
		}
		return nil
	})
	if err != nil || size < compactFrom || used >= size/2 {
		return false, err
	}
	name := path + compacting
	smaller, _, err := openFile(name)
	if err != nil {
		return false, err
	}
	err = bbolt.Compact(smaller, db, 1<<20)
	if closing := smaller.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		os.Remove(name)
	}
	return err == nil, err
}
