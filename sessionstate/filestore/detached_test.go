package filestore_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

// TestFileTakenAway: while the file is not at its path, nothing is written, because
// it would not be found after a restart.
func TestFileTakenAway(t *testing.T) {
	for name, c := range map[string]struct {
		take func(t *testing.T, path string)
		back func(t *testing.T, path string)
	}{
		"deleted":               {take: func(t *testing.T, path string) { must(t, os.Remove(path)) }},
		"its directory deleted": {take: func(t *testing.T, path string) { must(t, os.RemoveAll(filepath.Dir(path))) }},
		"moved": {
			take: func(t *testing.T, path string) { must(t, os.Rename(path, path+".moved")) },
			back: func(t *testing.T, path string) { must(t, os.Rename(path+".moved", path)) },
		},
		"its directory moved": {
			take: func(t *testing.T, path string) { must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+".moved")) },
			back: func(t *testing.T, path string) { must(t, os.Rename(filepath.Dir(path)+".moved", filepath.Dir(path))) },
		},
		"replaced": {
			take: func(t *testing.T, path string) {
				content := read(t, path)
				must(t, os.Rename(path, path+".moved"))
				write(t, path, content)
			},
			back: func(t *testing.T, path string) { must(t, os.Rename(path+".moved", path)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dir", "sessions.db")
			log := quiet(t)
			var told []error
			attached := 0
			log.Detached = func(err error) { told = append(told, err) }
			log.Attached = func() { attached++ }
			s, err := filestore.Open(path, log)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			fill(t, s, 0, 10, 0, 1)
			if s.Detached() {
				t.Error("it is there")
			}
			c.take(t, path)
			if !s.Detached() || s.Is(path) {
				t.Error("it is not seen that it is gone")
			}
			for i := range 3 {
				if err := swap(s, key(i), 1, sessionOf(i, 2)); !errors.Is(err, filestore.ErrDetached) {
					t.Errorf("error: %v", err)
				}
				if err := s.Delete(t.Context(), key(i)); !errors.Is(err, filestore.ErrDetached) {
					t.Errorf("error: %v", err)
				}
			}
			holds(t, s, filled(0, 10, 1))
			if len(told) != 1 || !errors.Is(told[0], filestore.ErrDetached) {
				t.Errorf("told %v", told)
			}
			if c.back == nil {
				return
			}
			c.back(t, path)
			fill(t, s, 0, 10, 1, 2)
			if s.Detached() || attached != 1 {
				t.Errorf("it is back, told %d times", attached)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			holds(t, mustOpen(t, path), filled(0, 10, 2))
		})
	}
}

// TestFileMoved: a file that was moved can be used at its new path.
func TestFileMoved(t *testing.T) {
	path := newPath(t)
	log := quiet(t)
	s, err := filestore.Open(path, log)
	must(t, err)
	defer s.Close()
	must(t, os.Rename(path, path+".moved"))
	if s.Is(path) || !s.Is(path+".moved") || s.Detached() {
		t.Error("it is not found")
	}
	fill(t, s, 0, 10, 0, 1)
	must(t, os.Rename(path+".moved", path))
	fill(t, s, 0, 10, 1, 2)
	must(t, os.Remove(path))
	if !s.Detached() {
		t.Error("it is not seen that it is gone")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
