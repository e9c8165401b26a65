package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrDetached means that the file is no longer at its path: it was deleted, moved or
// replaced. Nothing is written to it while that is so, because nobody would find it
// after a restart.
var ErrDetached = errors.New("the file was deleted, moved or replaced while it was open")

// checkAttached returns ErrDetached if the file is not at its path, and logs when that
// begins and ends. Only the writer calls it.
func (s *Store) checkAttached() error {
	there := !s.Detached()
	if !there && !s.wasDetached && s.log.Detached != nil {
		s.log.Detached(fmt.Errorf("%s: %w", s.path, ErrDetached))
	}
	if there && s.wasDetached && s.log.Attached != nil {
		s.log.Attached()
	}
	if s.wasDetached = !there; !there {
		return ErrDetached
	}
	return nil
}

// Detached reports whether the file is no longer at its path.
func (s *Store) Detached() bool {
	if moved := s.moved.Load(); moved != nil && underPath(*moved, s.file) {
		return false
	}
	return !underPath(s.path, s.file)
}

// Is reports whether a path leads to the open file. If the file has been moved away
// from the path by which it was opened, and is at this one, this one counts as its
// path from then on.
func (s *Store) Is(path string) bool {
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	opened, err := s.file.Stat()
	if err != nil || !os.SameFile(opened, there) {
		return false
	}
	if s.Detached() {
		s.moved.Store(&path)
	}
	return true
}

// underPath reports whether a path leads to an open file, and also true if that cannot
// be determined.
func underPath(path string, file *os.File) bool {
	there, err := os.Stat(path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	opened, err := file.Stat()
	return err != nil || os.SameFile(opened, there)
}
