package integration_test

import (
	"path/filepath"
	"testing"

	"github.com/rudder-session/rudder-session/internal/caddyfiletest"
)

// TestCaddyfiles: of modules that have no other tests of their own. For each package with
// a test another Caddy would have to be linked, which takes longer than all tests here.
func TestCaddyfiles(t *testing.T) {
	for _, name := range []string{"inspector", "sourceconfig"} {
		t.Run(name, func(t *testing.T) { caddyfiletest.RunOf(t, filepath.Join("caddymodule", name)) })
	}
}
