package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// asideMark and asideTime are in the names of files that were set aside: when.
const (
	asideMark = ".unreadable-"
	asideTime = "20060102T150405Z"
)

// setAside gives a file another name in its directory.
func setAside(path string) (as string, err error) {
	name := path + asideMark + time.Now().UTC().Format(asideTime)
	for n := 0; ; n++ {
		as = name
		if n > 0 {
			as = fmt.Sprint(name, "-", n)
		}
		if _, err := os.Lstat(as); errors.Is(err, fs.ErrNotExist) {
			return as, os.Rename(path, as)
		}
	}
}

// asideSince returns when a file was set aside, by its name.
func asideSince(path, name string) (at time.Time, ok bool) {
	text, ok := strings.CutPrefix(name, filepath.Base(path)+asideMark)
	if !ok {
		return at, false
	}
	text, _, _ = strings.Cut(text, "-")
	at, err := time.Parse(asideTime, text)
	return at, err == nil
}

// setAsideBefore returns the files that were set aside before a moment.
func (s *Store) setAsideBefore(moment time.Time) (paths []string, err error) {
	dir := filepath.Dir(s.path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if at, ok := asideSince(s.path, e.Name()); ok && at.Before(moment) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// SetAside returns the paths of the files that could not be read, under this
// path, and were set aside. They may have ids in them.
func (s *Store) SetAside() ([]string, error) {
	return s.setAsideBefore(time.Now().Add(time.Hour))
}

// RemoveSetAside deletes them, and returns the paths of those it deleted.
func (s *Store) RemoveSetAside() ([]string, error) {
	return s.removeSetAside(time.Now().Add(time.Hour))
}

func (s *Store) removeSetAside(before time.Time) (removed []string, err error) {
	paths, err := s.setAsideBefore(before)
	for _, path := range paths {
		if failed := os.Remove(path); failed == nil || errors.Is(failed, fs.ErrNotExist) {
			removed = append(removed, path)
		} else if err == nil {
			err = failed
		}
	}
	return removed, err
}

// KeepSetAside sets how long files that were set aside are kept; 0 is for ever.
func (s *Store) KeepSetAside(d time.Duration) {
	if s.keepAside.Swap(int64(d)) != int64(d) {
		select {
		case s.tidied <- struct{}{}:
		default:
		}
	}
}

// tidy removes old files, at first and now and then, until the context ends.
func (s *Store) tidy(ctx context.Context) {
	for {
		s.removeOld()
		if sleep(ctx, latestSweep, s.tidied) == ended {
			return
		}
	}
}

// removeOld deletes what was set aside too long ago.
func (s *Store) removeOld() {
	keep := time.Duration(s.keepAside.Load())
	if keep == 0 {
		return
	}
	removed, err := s.removeSetAside(time.Now().Add(-keep))
	for _, path := range removed {
		if s.log.Removed != nil {
			s.log.Removed(path)
		}
	}
	if err != nil && s.log.Sweep != nil {
		s.log.Sweep(fmt.Errorf("removing what was set aside: %w", err))
	}
}
