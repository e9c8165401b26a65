package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrDetached says that the file is not under its path any more: it was deleted,
// moved, or another one was put in its place. Nothing is written to it for as
// long as that is so: nobody would find it after a restart.
var ErrDetached = errors.New("the file was deleted, moved or replaced while it was open")

// attached returns ErrDetached if the file is not under its path, and has it
// logged when that begins and when it is over. Only the writer calls it.
func (s *Store) attached() error {
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

// Detached reports whether the file is not under its path any more.
func (s *Store) Detached() bool {
	if moved := s.moved.Load(); moved != nil && underPath(*moved, s.file) {
		return false
	}
	return !underPath(s.path, s.file)
}

// Is reports whether a path, by whatever name, leads to the file that is open. If
// the file is not under the path any more that it was opened by, it is one that
// is looked for under this path from then on.
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

// underPath reports whether a path leads to a file that is open, or that cannot
// be told.
func underPath(path string, file *os.File) bool {
	there, err := os.Stat(path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	opened, err := file.Stat()
	return err != nil || os.SameFile(opened, there)
}
