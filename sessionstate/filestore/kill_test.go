package filestore_test

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

// TestKilledUnderLoad kills a writing process again and again: the next one finds all
// completed changes, and continues from them.
func TestKilledUnderLoad(t *testing.T) {
	path := newPath(t)
	a := newAnswers()
	for round := range 8 {
		child := a.load(t, path)
		last := a.total()
		await(t, "the process does more", func() bool { return a.total() > last+10+60*round })
		child.Process.Kill()
		<-a.ended
		child.Wait()
		did, _ := a.snapshot()
		answeredIn(t, path, did)
	}
	did, count := a.snapshot()
	t.Logf("%d changes of %d sessions answered", count, len(did))
}

// TestLock: a process has exclusive use of the file until it ends.
func TestLock(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	fill(t, s, 0, 10, 0, 1)
	refused := func() {
		t.Helper()
		before := read(t, path)
		other, err := filestore.Open(path, quiet(t))
		if err == nil {
			other.Close()
		}
		if !errors.Is(err, filestore.ErrLocked) || !strings.Contains(err.Error(), path) {
			t.Errorf("error: %v", err)
		}
		unchanged(t, path, before)
	}
	// By this process, too.
	refused()
	holds(t, s, filled(0, 10, 1))
	closeOnce(t, s)

	holder := command("hold", path)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	lines := bufio.NewReader(out)
	for line := ""; line != "open\n"; {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatalf("%q, %v", line, err)
		}
	}
	refused()
	holder.Process.Kill()
	io.Copy(io.Discard, out)
	holder.Wait()
	holds(t, mustOpen(t, path), filled(0, 10, 1))
}
