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

// The buckets of the file. The first holds data about the file, the second the
// sessions by key.
var (
	meta      = []byte("rudder_session")
	schemaKey = []byte("schema")
	sessions  = []byte("sessions")
)

// schema is the version of the buckets' contents. It goes up with
// [session.WriteFormat], and with any other change that an earlier version would
// not understand: an earlier version then refuses the file. A file keeps its number
// until something newer is written to it.
//
//	1  session formats 1 to 3
//	2  session format 4
const schema = 2

// writeFormat is the session format that belongs to schema.
const writeFormat = 4

const lockTimeout = time.Second

// compactFrom is the size from which a file is compacted if less than half of it is
// used.
var compactFrom int64 = 32 << 20

var errForeign = errors.New("it is no session file")

// errNotRegular means that the path is not that of a regular file.
var errNotRegular = errors.New("it is no file")

// open opens the file. If it cannot be read, it sets the file aside and makes a new one.
func open(path string, log Log) (*bbolt.DB, *os.File, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	// Opening a pipe or a device may block forever, or have an effect.
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
	return compacted(db, file, path, log)
}

// compacted removes the remains of an interrupted compaction, and compacts the file if
// that is worth it. If that fails, the file is used as it is.
func compacted(db *bbolt.DB, file *os.File, path string, log Log) (*bbolt.DB, *os.File, error) {
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

// openReadable opens the file and reads all of it, so that a damaged file is detected
// now and not by a request.
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
	// If closing panics, there is nothing left to do.
	_ = guard(db.Close)
	return nil, nil, err
}

// inspect verifies the file, if there is one, while it is locked against writers.
func inspect(path string) error {
	// O_NONBLOCK, because it may have become a pipe since open has looked.
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
	// This locks the file. bbolt reads only the meta pages here.
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
			// This comes before all sessions, which in a newer schema may be anything.
			return checkSchema(value)
		case bytes.Equal(buckets[0], sessions):
			_, err := decode(key, value)
			return err
		}
		return nil
	})
}

// checkSchema returns an error if a file's schema number is none, or newer than the known
// ones.
func checkSchema(v []byte) error {
	if len(v) != 4 {
		return errForeign
	}
	if n := binary.BigEndian.Uint32(v); n > schema {
		return fmt.Errorf("%w: its schema is %d, the newest known %d", ErrNewer, n, schema)
	}
	return nil
}

// openFile opens and locks a file, and makes sure that the locked file is still the one
// at the path.
func openFile(path string) (*bbolt.DB, *os.File, error) {
	for {
		db, file, err := openBolt(path, bbolt.Options{FreelistType: bbolt.FreelistMapType})
		if err != nil {
			return nil, nil, err
		}
		// Another process may have replaced the file while this one waited for the lock.
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

// openBolt opens a file with bbolt, and translates its errors.
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
		file.Close() // bbolt has panicked, and still holds the lock
	case errors.Is(err, bolterrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", ErrNewer, err)
	case errors.As(err, new(syscall.Errno)):
		// Not the file's fault: it may be readable another time.
	default:
		err = fmt.Errorf("%w: %w", errForeign, err)
	}
	return nil, nil, err
}

// check creates the buckets of a new file, and reads those of an existing one.
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
		if err := checkSchema(b.Get(schemaKey)); err != nil {
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

// compacting is the suffix of the new file during compaction.
const compacting = ".compacting"

// compact replaces a file that is mostly empty by a smaller copy, because bbolt never
// returns space to the file system. It reports whether it has replaced the file.
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
