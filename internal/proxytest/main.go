package proxytest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/rudder-session/rudder-session/internal/gcpercent"
)

// programName is the name under which a test program is Caddy.
const programName = "caddy"

// Main runs the tests of a package in the root of the repository, whose files they read.
// Under the name of [Program] the program does what cmd/caddy does, with all stores.
func Main(m *testing.M) {
	if filepath.Base(os.Args[0]) == programName {
		gcpercent.Tune(os.Args[1:], os.Getenv)
		caddycmd.Main()
		return
	}
	if err := toRoot(); err != nil {
		panic(err)
	}
	status := m.Run()
	if programIn != "" {
		os.RemoveAll(programIn)
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

// Program returns the path of a Caddy with all stores, for tests that need it as a process
// of its own: the test program itself, by another name, which need not be linked again.
// Their package must use [Main].
func Program(t testing.TB) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// programIn is the directory of the other name, once there is one.
var programIn string

var program = sync.OnceValues(func() (path string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if programIn, err = os.MkdirTemp("", "rudder-session-test-"); err != nil {
		return "", err
	}
	path = filepath.Join(programIn, programName)
	return path, os.Symlink(self, path)
})
