package filestore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// answeredIn checks that a copy of a file has all changes that were completed before it
// was made. It may have others that were in flight.
func answeredIn(t *testing.T, path string, did map[int]session.Version) {
	t.Helper()
	s, err := filestore.Open(path, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found := all(t, s)
	for number, version := range did {
		got := found[key(number)]
		if got == nil || got.Version < version || !sessiontest.Same(got, sessionOf(number, got.Version)) {
			t.Errorf("%d was answered with version %d, and is %+v", number, version, got)
		}
	}
}

// TestWhatReturnedIsOnDisk copies the file between two transactions of a writer under
// load.
func TestWhatReturnedIsOnDisk(t *testing.T) {
	const copies, writers = 40, 16
	path := newPath(t)
	s := mustOpen(t, path)
	var mu sync.Mutex
	did := map[int]session.Version{}
	var stop atomic.Bool
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for n := 0; !stop.Load(); n++ {
				number := w*50 + n%50
				old := session.Version(n / 50)
				if err := swap(s, key(number), old, sessionOf(number, old+1)); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				did[number] = old + 1
				mu.Unlock()
			}
		})
	}
	dir := t.TempDir()
	answered := 0
	for i := range copies {
		var content []byte
		before := map[int]session.Version{}
		// Within the writer, the previous transaction is complete and none is running.
		if err := filestore.InWriter(s, func() {
			mu.Lock()
			for number, version := range did {
				before[number] = version
			}
			mu.Unlock()
			content, _ = os.ReadFile(path)
		}); err != nil {
			t.Fatal(err)
		}
		answered += len(before)
		copied := filepath.Join(dir, fmt.Sprint(i))
		write(t, copied, content)
		answeredIn(t, copied, before)
		os.Remove(copied)
	}
	stop.Store(true)
	group.Wait()
	if answered == 0 {
		t.Error("nothing was answered")
	}
}

// TestStoppedAnywhere copies the file of a process that is stopped at a random moment,
// in the middle of a transaction too: a crash leaves such a file.
func TestStoppedAnywhere(t *testing.T) {
	const copies = 50
	path := newPath(t)
	a := newAnswers()
	child := a.load(t, path)
	dir := t.TempDir()
	last := 0
	for i := range copies {
		await(t, "the process does more", func() bool { return a.total() > last+i%7 })
		did, count := a.snapshot()
		last = count
		if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		// The process may still run until the kernel reports that it is stopped.
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(child.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
			t.Fatalf("%v: %v", status, err)
		}
		content := read(t, path)
		if err := child.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(dir, fmt.Sprint(i))
		write(t, copied, content)
		answeredIn(t, copied, did)
		os.Remove(copied)
	}
	t.Logf("%d changes answered, %d copies", last, copies)
}
