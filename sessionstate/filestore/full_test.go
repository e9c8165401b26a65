package filestore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// disk is a disk that a test can fill.
type disk struct {
	dir string
	// full uses up the free space, room frees it.
	full, room func(t *testing.T)
	err        error
}

// TestFullDisk: a change that cannot be written is an error and has no effect, reads
// work, and so do writes when there is space again.
func TestFullDisk(t *testing.T) {
	for _, kind := range []string{"limit", "tmpfs"} {
		t.Run(kind, func(t *testing.T) {
			c := command(kind, t.TempDir())
			if kind == "tmpfs" {
				// In its own user namespace, an unprivileged process may mount.
				c.SysProcAttr = &syscall.SysProcAttr{
					Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
					UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
					GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
				}
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
		})
	}
}

// fullByLimit is the test in a process with a limit on the size of its files.
func fullByLimit(t *testing.T, dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	set := func(t *testing.T, to syscall.Rlimit) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &to); err != nil {
			t.Fatal(err)
		}
	}
	eachFull(t, disk{
		dir: dir, err: syscall.EFBIG,
		full: func(t *testing.T) {
			// The writer still finds free pages in the file for a while.
			info, err := os.Stat(filepath.Join(dir, "sessions.db"))
			if err != nil {
				t.Fatal(err)
			}
			set(t, syscall.Rlimit{Cur: uint64(info.Size()), Max: before.Max})
		},
		room: func(t *testing.T) { set(t, before) },
	})
}

// fullTmpfs is the test in a process with its own file system.
func fullTmpfs(t *testing.T, dir string) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("mount: %v", err)
	}
	filler := filepath.Join(dir, "filler")
	eachFull(t, disk{
		dir: dir, err: syscall.ENOSPC,
		full: func(t *testing.T) {
			f, err := os.Create(filler)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			w := bufio.NewWriterSize(f, 4096)
			if _, err := io.CopyN(w, zeros{}, 4<<20); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("the disk is not full: %v", err)
			}
		},
		room: func(t *testing.T) { os.Remove(filler) },
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func eachFull(t *testing.T, d disk) {
	for name, test := range map[string]func(*testing.T, disk, string){"store": fullStore, "table": fullTable} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(d.dir, "sessions.db")
			defer os.Remove(path)
			test(t, d, path)
		})
	}
}

// untilFull writes sessions until a write fails, and returns how many there are.
func untilFull(t *testing.T, d disk, s *filestore.Store, from int) int {
	t.Helper()
	const together = 50
	for n := from; n < from+100_000; n += together {
		changes := make([]Swap, together)
		for i := range changes {
			changes[i] = Swap{Key: key(n + i), Next: sessionOf(n+i, 1)}
		}
		s.CompareAndSwap(context.Background(), changes)
		if changes[0].Err == nil {
			continue
		}
		for _, c := range changes {
			if c.Done || c.Err == nil || !strings.Contains(c.Err.Error(), d.err.Error()) {
				t.Errorf("%v, error: %v", c.Done, c.Err)
			}
		}
		return n
	}
	t.Fatal("the disk is not full")
	return 0
}

func fullStore(t *testing.T, d disk, path string) {
	s := mustOpen(t, path)
	n := 200
	fill(t, s, 0, n, 0, 1)
	for range 2 {
		d.full(t)
		n = untilFull(t, d, s, n)
		// Neither new sessions nor changes of old ones, however often.
		for range 5 {
			if err := swap(s, key(n), 0, sessionOf(n, 1)); err == nil {
				n++ // there may still be room for a smaller one
			}
		}
		holds(t, s, filled(0, n, 1))
		d.room(t)
		holds(t, s, filled(0, n, 1))
		fill(t, s, n, n+100, 0, 1)
		n += 100
		holds(t, s, filled(0, n, 1))
	}
	d.full(t)
	n = untilFull(t, d, s, n)
	closeOnce(t, s)
	// The file can be opened while there is no space.
	s = mustOpen(t, path)
	holds(t, s, filled(0, n, 1))
	d.room(t)
	fill(t, s, 0, n, 1, 2)
	closeOnce(t, s)
	holds(t, mustOpen(t, path), filled(0, n, 2))
}

// fullTable: with a table, control calls fail and change nothing, and changes that may
// be delayed are written later.
func fullTable(t *testing.T, d disk, path string) {
	store := mustOpen(t, path)
	failing := make(chan error, 1)
	written := make(chan struct{}, 1)
	table := NewTable(store, Options{
		Settings: Settings{Capacity: 100_000, Retention: 400 * 24 * 3600_000, FlushInterval: time.Millisecond},
		Report: func(err error) {
			if err != nil {
				select {
				case failing <- err:
				default:
				}
			} else {
				select {
				case written <- struct{}{}:
				default:
				}
			}
		},
	})
	policy := &session.Policy{Automatic: session.AutomaticProxy, Timeout: 30 * 60_000, Retention: 400 * 24 * 3600_000}
	ask := func(key string, e session.Event) (session.Decision, error) {
		var decisions [1]session.Decision
		err := table.Apply(context.Background(), key, request(base+1000, policy, []session.Event{e}), decisions[:])
		return decisions[0], err
	}
	must := func(key string, e session.Event) session.Decision {
		t.Helper()
		decision, err := ask(key, e)
		if err != nil {
			t.Fatal(err)
		}
		return decision
	}
	if got := must("manual", session.Event{Kind: session.Start, ID: base, Times: original(base), Message: 1}); got.SessionID != base {
		t.Fatalf("%+v", got)
	}
	// Automatic sessions, until they cannot be written any more.
	d.full(t)
	n := 0
	for failed := false; !failed && n < 50_000; n++ {
		must(key(n), session.Event{Times: original(base + int64(n%1000)), Message: session.MessageID(n + 1)})
		select {
		case <-failing:
			failed = true
		default:
		}
	}
	// Control calls until they fail: there may still be room for some.
	refused := 0
	for i := 0; i < 50_000 && refused < 3; i++ {
		name := fmt.Sprint("manual ", i)
		if _, err := ask(name, session.Event{Kind: session.Start, ID: base, Times: original(base), Message: 1}); err == nil {
			continue
		}
		refused++
		if id, err := table.Current(context.Background(), name, base+1000, policy); id != 0 || err != nil {
			t.Errorf("a call that failed has begun session %d, %v", id, err)
		}
	}
	if refused == 0 {
		t.Error("no control call was refused")
	}
	before := must("manual", session.Event{Times: original(base + 900), Message: 3})
	if _, err := ask("manual", session.Event{Kind: session.End, Times: original(base + 950), Message: 4}); err != nil {
		if after := must("manual", session.Event{Times: original(base + 960), Message: 5}); after.SessionID != before.SessionID || after.Action != session.Stamp {
			t.Errorf("a call that failed has made %+v of %+v", after, before)
		}
	}
	// All sessions are served from memory.
	ids := make([]int64, n)
	for i := range n {
		ids[i] = must(key(i), session.Event{Times: original(base + 1000), Message: session.MessageID(n + i + 1)}).SessionID
	}
	d.room(t)
	for len(written) > 0 {
		<-written
	}
	<-written
	must("manual", session.Event{Kind: session.End, Times: original(base + 990), Message: 6})
	closedStores.Store(store, true)
	if err := table.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	table = NewTable(mustOpen(t, path), Options{Settings: Settings{Capacity: 100_000, FlushInterval: time.Millisecond}})
	for i := range n {
		if got := must(key(i), session.Event{Times: original(base + 1000), Message: session.MessageID(3*n + i + 1)}); got.SessionID != ids[i] || got.SessionID == 0 {
			t.Fatalf("session %d is %+v, was %d", i, got, ids[i])
		}
	}
	if id, err := table.Current(context.Background(), "manual", base+1000, policy); id != 0 || err != nil {
		t.Errorf("the session that was ended is %d, %v", id, err)
	}
}
