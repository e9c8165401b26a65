package filestore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

// sparse makes a file of which little is used, with sessions 0 to 9.
func sparse(t *testing.T, path string) {
	t.Helper()
	s := mustOpen(t, path)
	fill(t, s, 0, 3000, 0, 1)
	sessiontest.Together(32, func(w int) {
		for i := 10 + w; i < 3000; i += 32 {
			if err := s.Delete(context.Background(), key(i)); err != nil {
				t.Error(err)
			}
		}
	})
	closeOnce(t, s)
}

// TestNotMadeSmaller: a file that cannot be compacted is used as it is.
func TestNotMadeSmaller(t *testing.T) {
	defer filestore.CompactFrom(1)()
	for name, hinder := range map[string]func(t *testing.T, path string){
		"a directory in the way": func(t *testing.T, path string) {
			if err := os.MkdirAll(filepath.Join(path+".compacting", "sub"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			sparse(t, path)
			hinder(t, path)
			log := quiet(t)
			skipped := 0
			log.Skipped = func(err error) {
				skipped++
				if !strings.Contains(err.Error(), path) {
					t.Errorf("told %v", err)
				}
			}
			s, err := filestore.Open(path, log)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			holds(t, s, filled(0, 10, 1))
			fill(t, s, 10, 20, 0, 1)
			holds(t, s, filled(0, 20, 1))
			if skipped == 0 {
				t.Error("nothing was told")
			}
		})
	}
}

// TestMountedFile: a file that is a mount point, as in a container, can be written but
// not replaced.
func TestMountedFile(t *testing.T) {
	c := command("mounted", t.TempDir())
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Skipf("no name space of its own: %v", err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, &out)
	} else if strings.Contains(out.String(), "--- SKIP") {
		t.Skip(out.String())
	}
}

func mountedFile(t *testing.T, dir string) {
	defer filestore.CompactFrom(1)()
	real, path := filepath.Join(dir, "real.db"), filepath.Join(dir, "sessions.db")
	sparse(t, real)
	write(t, path, nil)
	if err := syscall.Mount(real, path, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("mount: %v", err)
	}
	log := quiet(t)
	var told error
	log.Skipped = func(err error) { told = err }
	s, err := filestore.Open(path, log)
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(told, syscall.EBUSY) {
		t.Errorf("told %v", told)
	}
	fill(t, s, 10, 20, 0, 1)
	holds(t, s, filled(0, 20, 1))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := names(t, dir); len(n) != 2 {
		t.Errorf("there is now %q", n)
	}
}

// TestLeftoverGoes: the leftover of a killed compaction is deleted, because it has ids
// in it.
func TestLeftoverGoes(t *testing.T) {
	path := newPath(t)
	write(t, path+".compacting", []byte("ids"))
	mustOpen(t, path)
	if n := names(t, filepath.Dir(path)); len(n) != 1 {
		t.Errorf("there is now %q", n)
	}
}

// TestPipe: a path that is not a regular file is refused without blocking.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, link, "/dev/null", "/dev/zero", dir} {
		done := make(chan error, 1)
		go func() {
			s, err := filestore.Open(path, quiet(t))
			if err == nil {
				s.Close()
			}
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "no file") {
				t.Errorf("error: %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s is waited for", path)
		}
	}
}
