package filestore_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// role is the environment variable that gives a child process of a test, which runs the
// test binary, its task; place is the variable with the path that it works on.
const role, place = "RUDDER_SESSION_TEST_ROLE", "RUDDER_SESSION_TEST_PLACE"

// TestRole is the main function of such a process.
func TestRole(t *testing.T) {
	switch os.Getenv(role) {
	case "":
		t.Skip("this is no process of a test")
	case "load":
		loadUntilKilled(t, os.Getenv(place))
	case "hold":
		mustOpen(t, os.Getenv(place))
		fmt.Println("open")
		io.Copy(io.Discard, os.Stdin)
	case "open":
		// Try to open the file, and print the result.
		s, err := filestore.Open(os.Getenv(place), quiet(t))
		if err == nil {
			err = s.Close()
		}
		fmt.Println("error:", err)
	case "limit":
		fullByLimit(t, os.Getenv(place))
	case "tmpfs":
		fullTmpfs(t, os.Getenv(place))
	case "mounted":
		mountedFile(t, os.Getenv(place))
	default:
		t.Error("unknown role")
	}
}

// command returns the command for a child process.
func command(as, path string) *exec.Cmd {
	c := exec.Command(os.Args[0], "-test.run=^TestRole$", "-test.v", "-test.count=1")
	// Otherwise the race detector delays its exit.
	c.Env = append(os.Environ(), role+"="+as, place+"="+path, "GORACE=atexit_sleep_ms=0")
	return c
}

// loadUntilKilled writes with several goroutines, and prints the number of the key and
// the version of each completed change.
func loadUntilKilled(t *testing.T, path string) {
	s := mustOpen(t, path)
	versions := map[int]session.Version{}
	if err := s.Scan(context.Background(), func(name string, v *session.Session) error {
		versions[int(v.Segments[0].ID-base)] = v.Version
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	const writers, keys = 16, 40
	var mu sync.Mutex
	sessiontest.Together(writers, func(w int) {
		for n := 0; ; n++ {
			mu.Lock()
			number := w*keys + n%keys
			version := versions[number]
			mu.Unlock()
			if err := swap(s, key(number), version, sessionOf(number, version+1)); err != nil {
				fmt.Println("error:", err)
				return
			}
			mu.Lock()
			versions[number] = version + 1
			fmt.Printf("did %d %d\n", number, version+1)
			mu.Unlock()
		}
	})
}

// answers are the completed changes that processes under load have printed.
type answers struct {
	mu    sync.Mutex
	did   map[int]session.Version
	count int
	ended chan struct{}
}

// load starts a process under load, and adds its answers to a.
func (a *answers) load(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	c := command("load", path)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	a.ended = make(chan struct{})
	go func() {
		defer close(a.ended)
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return // a last line may be cut off: it does not count
			}
			var number int
			var version session.Version
			if _, err := fmt.Sscanf(line, "did %d %d\n", &number, &version); err == nil {
				a.mu.Lock()
				a.did[number] = max(a.did[number], version)
				a.count++
				a.mu.Unlock()
			} else if !strings.HasPrefix(line, "=== ") {
				t.Errorf("the process under load says %q", line)
			}
		}
	}()
	t.Cleanup(func() {
		c.Process.Kill()
		<-a.ended
		c.Wait()
	})
	return c
}

func newAnswers() *answers { return &answers{did: map[int]session.Version{}} }

// snapshot returns the answers so far.
func (a *answers) snapshot() (did map[int]session.Version, count int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	did = make(map[int]session.Version, len(a.did))
	for number, version := range a.did {
		did[number] = version
	}
	return did, a.count
}

func (a *answers) total() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}
