package filestore_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// size returns how large the file is.
func size(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestFileDoesNotGrow: the space of forgotten sessions is used for new ones.
func TestFileDoesNotGrow(t *testing.T) {
	const users, rounds = 2_000, 6
	path := newPath(t)
	s := mustOpen(t, path)
	s.Retain(400 * day)
	var used, files []int64
	for round := range rounds {
		// Each round has new users, and changes each once.
		from := round * users
		fill(t, s, from, from+users, 0, 1)
		fill(t, s, from, from+users, 1, 2)
		if gone, err := s.Sweep(t.Context(), base+int64(from+users)+1000*day); err != nil || gone != users {
			t.Fatalf("%d were forgotten, %v", gone, err)
		}
		used = append(used, filestore.Size(s))
		files = append(files, size(t, path))
	}
	if used[rounds-1] > used[1]*5/4 || files[rounds-1] > files[1]*5/4 {
		t.Errorf("it has grown: %d, files of %d", used, files)
	}
	holds(t, s, nil)
	closeOnce(t, s)
	holds(t, mustOpen(t, path), nil)
	t.Logf("%d sessions in each round: %d bytes used after each, files of %d", users, used, files)
}

// TestFileOfOneSize: changes of the same users need no more space.
func TestFileOfOneSize(t *testing.T) {
	const users, rounds = 1_500, 8
	path := newPath(t)
	s := mustOpen(t, path)
	var used []int64
	for round := range session.Version(rounds) {
		fill(t, s, 0, users, round, round+1)
		used = append(used, filestore.Size(s))
	}
	if used[rounds-1] > used[2]*5/4 {
		t.Errorf("it has grown: %d", used)
	}
	holds(t, s, filled(0, users, rounds))
}

// mostlyEmpty makes a large file with few sessions, which should be compacted.
func mostlyEmpty(t *testing.T, left int) (path string, sessions map[string]*session.Session) {
	t.Helper()
	const users = 6000
	t.Cleanup(filestore.CompactFrom(1 << 20))
	path = newPath(t)
	s := mustOpen(t, path)
	sessions = swept(t, s, users, func(n int) int64 {
		if n%(users/left) == 0 {
			return base + 1000*day
		}
		return base
	})
	maps.DeleteFunc(sessions, func(_ string, v *session.Session) bool { return v.Seen == base })
	s.Retain(400 * day)
	if gone, err := s.Sweep(t.Context(), base+900*day); err != nil || gone != users-left {
		t.Fatalf("%d were forgotten, %v", gone, err)
	}
	closeOnce(t, s)
	return path, sessions
}

// TestCompaction: a file that is mostly empty is compacted when it is opened, and
// nothing is lost.
func TestCompaction(t *testing.T) {
	const left = 500
	path, want := mostlyEmpty(t, left)
	before := size(t, path)
	// The rest of an earlier compaction that crashed.
	write(t, path+".compacting", bytes.Repeat([]byte("text"), 5000))
	s := mustOpen(t, path)
	after := size(t, path)
	if after > before/2 {
		t.Errorf("%d bytes, before %d", after, before)
	}
	if _, err := os.Stat(path + ".compacting"); !os.IsNotExist(err) {
		t.Errorf("it has left something: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("it is %v, %v", info.Mode(), err)
	}
	holds(t, s, want)
	// The new file is locked, and works as before.
	if _, err := filestore.Open(path, quiet(t)); !errors.Is(err, filestore.ErrLocked) {
		t.Errorf("error: %v", err)
	}
	fill(t, s, 10_000, 11_000, 0, 1)
	maps.Copy(want, filled(10_000, 11_000, 1))
	closeOnce(t, s)
	// It is done once.
	once, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path)
	holds(t, s, want)
	if again, err := os.Stat(path); err != nil || !os.SameFile(once, again) {
		t.Errorf("it is another file, %v", err)
	}
	t.Logf("%d bytes, before %d", after, before)
}

// TestCompactionOfALink: the file that the link points to is compacted.
func TestCompactionOfALink(t *testing.T) {
	path, want := mostlyEmpty(t, 500)
	link := newPath(t)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	before := size(t, path)
	holds(t, mustOpen(t, link), want)
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 || size(t, path) >= before {
		t.Errorf("the link is %v, %v; the file has %d bytes, before %d", info.Mode(), err, size(t, path), before)
	}
}

// TestCompactionInterrupted: a complete new file that was not renamed before a crash is
// not used.
func TestCompactionInterrupted(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	fill(t, s, 0, 100, 0, 1)
	closeOnce(t, s)
	write(t, path+".compacting", read(t, path))
	s = mustOpen(t, path)
	fill(t, s, 0, 100, 1, 2)
	closeOnce(t, s)
	holds(t, mustOpen(t, path), filled(0, 100, 2))
}
