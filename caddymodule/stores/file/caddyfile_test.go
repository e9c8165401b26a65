package file_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/rudder-session/rudder-session/caddymodule"
)

var update = flag.Bool("update", false, "write what the Caddyfile adapter returns to testdata/caddyfile")

// setEnv sets the environment that configurations are read in. The directory of
// the default path is returned.
func setEnv(t *testing.T) (home string) {
	home = t.TempDir()
	t.Setenv("XDG_DATA_HOME", home)
	t.Setenv("RUDDER_SESSION_TEST_EMPTY", "")
	t.Setenv("RUDDER_SESSION_TEST_DIR", filepath.Join(home, "dir"))
	t.Setenv("RUDDER_SESSION_TEST_INTERVAL", "250ms")
	return home
}

// TestCaddyfile adapts the Caddyfiles of testdata/caddyfile. Behind a line of
// ten dashes each has what is expected: the JSON, or the error that Caddy
// prints. What has JSON must adapt without warnings, and be a configuration that
// Caddy takes.
func TestCaddyfile(t *testing.T) {
	home := setEnv(t)
	files, err := filepath.Glob("testdata/caddyfile/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			testCaddyfile(t, file)
		})
	}
	if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
		t.Errorf("what was only validated has made %v, %v", left, err)
	}
}

const goldenSeparator = "----------\n"

func testCaddyfile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, want, ok := strings.Cut(string(text), "\n"+goldenSeparator)
	if !ok {
		t.Fatalf("no line of ten dashes")
	}
	input += "\n"
	adapted, warnings, adaptErr := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	got := ""
	if adaptErr != nil {
		got = adaptErr.Error() + "\n"
	} else {
		var indented bytes.Buffer
		if err := json.Indent(&indented, adapted, "", "\t"); err != nil {
			t.Fatal(err)
		}
		got = indented.String() + "\n"
		for _, w := range warnings {
			t.Errorf("warning: %s", w)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(input+goldenSeparator+got), 0o644); err != nil {
			t.Fatal(err)
		}
		want = got
	}
	if got != want && (adaptErr != nil || !sameJSON(t, got, want)) {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
	if adaptErr != nil {
		return
	}
	if err := validate(t, adapted); err != nil {
		t.Errorf("it adapts, but Caddy refuses it: %v", err)
	}
}

func sameJSON(t *testing.T, got, want string) bool {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatal(err)
	}
	return json.Unmarshal([]byte(want), &w) == nil && reflect.DeepEqual(g, w)
}

// validate provisions a whole JSON configuration, as `caddy validate` does: it
// starts nothing, and listens nowhere.
func validate(t *testing.T, config []byte) error {
	t.Helper()
	c := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(config, c); err != nil {
		return err
	}
	off := false
	c.StorageRaw = caddyconfig.JSONModuleObject(map[string]string{"root": t.TempDir()}, "module", "file_system", nil)
	c.Admin = &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}}
	c.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
	}}
	return caddy.Validate(c)
}
