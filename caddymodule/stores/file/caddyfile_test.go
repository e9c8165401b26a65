package file_test

import (
	"os"
	"path/filepath"
	"testing"

	_ "github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/internal/caddyfiletest"
)

// setEnv sets the environment in which configurations are read, and returns the
// directory of the default path.
func setEnv(t *testing.T) (home string) {
	home = t.TempDir()
	t.Setenv("XDG_DATA_HOME", home)
	t.Setenv("RUDDER_SESSION_TEST_EMPTY", "")
	t.Setenv("RUDDER_SESSION_TEST_DIR", filepath.Join(home, "dir"))
	t.Setenv("RUDDER_SESSION_TEST_INTERVAL", "250ms")
	return home
}

func TestCaddyfile(t *testing.T) {
	home := setEnv(t)
	caddyfiletest.Run(t)
	if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
		t.Errorf("validation alone created %v, %v", left, err)
	}
}
