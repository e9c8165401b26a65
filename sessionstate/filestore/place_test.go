package filestore_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

// nobody is a user without privileges.
const nobody = 65534

// openAsNobody returns the output of an unprivileged process that tries to open a file.
func openAsNobody(t *testing.T, path string) string {
	t.Helper()
	c := command("open", path)
	if os.Geteuid() == 0 {
		// The binary's path may lead through directories that the user may not enter.
		c.Path = "/proc/self/exe"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		c.Dir = "/"
	}
	out, err := c.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Skipf("no process without privileges: %v", err)
	}
	_, said, ok := strings.Cut(string(out), "error: ")
	if !ok {
		t.Fatalf("%v: %s", err, out)
	}
	said, _, _ = strings.Cut(said, "\n")
	return said
}

// ownDir is a directory that belongs to nobody.
func ownDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "filestore-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		os.Chmod(dir, 0o700)
		os.RemoveAll(dir)
	})
	own(t, dir)
	return dir
}

func own(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() == 0 {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestNotPermitted: if a process has no permission, it gets an error that names the
// file, and nothing has changed.
func TestNotPermitted(t *testing.T) {
	good := newPath(t)
	s := mustOpen(t, good)
	fill(t, s, 0, 10, 0, 1)
	closeOnce(t, s)
	content := read(t, good)
	for name, c := range map[string]struct {
		content []byte
		file    os.FileMode
		dir     os.FileMode
		below   string
		want    string
	}{
		"permitted":                    {content: content, file: 0o600, dir: 0o700, want: "<nil>"},
		"permitted, no file":           {dir: 0o700, want: "<nil>"},
		"no more than the file":        {content: content, file: 0o600, dir: 0o500, want: "<nil>"},
		"directory read-only":          {dir: 0o500, want: "permission denied"},
		"directory closed":             {content: content, file: 0o600, dir: 0o600, want: "permission denied"},
		"file read-only":               {content: content, file: 0o400, dir: 0o700, want: "permission denied"},
		"file closed":                  {content: content, file: 0o000, dir: 0o700, want: "permission denied"},
		"no directory can be made":     {dir: 0o500, below: "a/b", want: "permission denied"},
		"damaged, directory read-only": {content: []byte("text"), file: 0o600, dir: 0o500, want: "permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := ownDir(t)
			path := filepath.Join(dir, c.below, "sessions.db")
			if c.content != nil {
				write(t, path, c.content)
				own(t, path)
				os.Chmod(path, c.file)
			}
			os.Chmod(dir, c.dir)
			said := openAsNobody(t, path)
			os.Chmod(dir, 0o700)
			os.Chmod(path, 0o600)
			if c.want == "<nil>" {
				if said != c.want {
					t.Error(said)
				}
				return
			}
			if !strings.Contains(said, c.want) || !strings.Contains(said, path) {
				t.Errorf("error: %s", said)
			}
			if c.content != nil {
				unchanged(t, path, c.content)
			}
			if n := names(t, dir); len(n) > 1 || c.content == nil && len(n) > 0 {
				t.Errorf("there is now %q", n)
			}
		})
	}
}

// TestPathIsNoFile: what is at the path is not replaced if it is not a regular file.
func TestPathIsNoFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), []byte("text"))
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "missing", "target"), link); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a directory":              dir,
		"below a file":             filepath.Join(dir, "file", "sessions.db"),
		"a device":                 "/dev/null",
		"a name that is too long":  filepath.Join(dir, strings.Repeat("n", 300)),
		"a link that ends nowhere": link,
	} {
		t.Run(name, func(t *testing.T) {
			s, err := filestore.Open(path, quiet(t))
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("error: %v", err)
			}
		})
	}
	if n := names(t, dir); len(n) != 2 {
		t.Errorf("there is now %q", n)
	}
	unchanged(t, filepath.Join(dir, "file"), []byte("text"))
}

// TestModesOfWhatIsMade: the file has users' ids in it, so that only its owner may read
// it.
func TestModesOfWhatIsMade(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	path := filepath.Join(dir, "a", "b", "sessions.db")
	s := mustOpen(t, path)
	fill(t, s, 0, 10, 0, 1)
	mode := func(path string, want os.FileMode) {
		t.Helper()
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	mode(dir, 0o755)
	mode(filepath.Join(dir, "a"), 0o700)
	mode(filepath.Join(dir, "a", "b"), 0o700)
	mode(path, 0o600)
	closeOnce(t, s)
	write(t, path, []byte("text"))
	aside := ""
	s, err := filestore.Open(path, filestore.Log{SetAside: func(_, as string, _ error) { aside = as }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mode(path, 0o600)
	mode(aside, 0o600)
}

// TestLink: a link to a file elsewhere is followed, and stays a link.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target.db"), filepath.Join(dir, "sessions.db")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, link)
	fill(t, s, 0, 10, 0, 1)
	if _, err := filestore.Open(target, quiet(t)); !errors.Is(err, filestore.ErrLocked) {
		t.Errorf("error: %v", err)
	}
	closeOnce(t, s)
	holds(t, mustOpen(t, target), filled(0, 10, 1))
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", fmt.Sprint(info.Mode()), err)
	}
}
