package proxytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Main runs the tests of a package in the root of the repository, whose files they read,
// and removes what [Built] made.
func Main(m *testing.M) {
	if err := toRoot(); err != nil {
		panic(err)
	}
	status := m.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(status)
}

// toRoot changes to the root of the repository, from a directory below it.
func toRoot() error {
	for range 10 {
		if _, err := os.Stat("go.mod"); err == nil {
			return nil
		}
		if err := os.Chdir(".."); err != nil {
			return err
		}
	}
	return fmt.Errorf("there is no go.mod: %w", os.ErrNotExist)
}

// Built returns the path of a Caddy of this source, with all stores, for tests that need
// it as a process of its own. Their package must use [Main].
func Built(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// builtIn is the directory of that Caddy, once it is built.
var builtIn string

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rudder-session-test-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	path := filepath.Join(dir, "caddy")
	args := append([]string{"build", "-tags", "redis", "-ldflags", "-s -w", "-o", path}, raceFlags...)
	out, err := exec.Command("go", append(args, "./cmd/caddy")...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
})
