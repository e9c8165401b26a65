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

// The name of a file that was set aside ends with asideMark and the time of that, in
// the layout asideTime.
const (
	asideMark = ".unreadable-"
	asideTime = "20060102T150405Z"
)

// setAside renames a file within its directory.
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

// asideSince returns when a file was set aside, according to its name.
func asideSince(path, name string) (at time.Time, ok bool) {
	text, ok := strings.CutPrefix(name, filepath.Base(path)+asideMark)
	if !ok {
		return at, false
	}
	text, _, _ = strings.Cut(text, "-")
	at, err := time.Parse(asideTime, text)
	return at, err == nil
}

// setAsideBefore returns the files that were set aside before a time.
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

// SetAside returns the paths of the files that were set aside because they could not be
// read at this path. They may contain ids.
func (s *Store) SetAside() ([]string, error) {
	return s.setAsideBefore(time.Now().Add(time.Hour))
}

// RemoveSetAside deletes the files that were set aside, and returns the paths of those
// that it has deleted.
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

// KeepSetAside sets how long files that were set aside are kept; 0 is forever.
func (s *Store) KeepSetAside(d time.Duration) {
	if s.keepAside.Swap(int64(d)) != int64(d) {
		select {
		case s.keepSet <- struct{}{}:
		default:
		}
	}
}

// expireSetAside removes old files that were set aside, now and every
// maxSweepInterval, until the context ends.
func (s *Store) expireSetAside(ctx context.Context) {
	for {
		s.removeOld()
		if sleep(ctx, maxSweepInterval, s.keepSet) == ended {
			return
		}
	}
}

// removeOld deletes files that were set aside longer ago than KeepSetAside says.
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
