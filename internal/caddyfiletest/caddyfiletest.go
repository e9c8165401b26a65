// Package caddyfiletest adapts the example Caddyfiles of a package and validates
// the configurations they give. It links no module of this repository, so that a
// test sees those that its own package links.
package caddyfiletest

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
)

var update = flag.Bool("update", false, "write what the Caddyfile adapter returns to testdata/caddyfile")

const separator = "----------\n"

// Run is [RunOf] for the package that is tested.
func Run(t *testing.T, secrets ...string) { RunOf(t, ".", secrets...) }

// RunOf adapts each file testdata/caddyfile/*.caddyfiletest of the package in a
// directory: a Caddyfile, a line of ten dashes, and the expected JSON or error. JSON
// must come without warnings (so the Caddyfile must be formatted) and must be a
// configuration that Caddy accepts. No error may contain one of the secrets.
func RunOf(t *testing.T, directory string, secrets ...string) {
	files, err := filepath.Glob(filepath.Join(directory, "testdata/caddyfile/*.caddyfiletest"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			runFile(t, file, secrets)
		})
	}
}

func runFile(t *testing.T, file string, secrets []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, want, ok := strings.Cut(string(text), "\n"+separator)
	if !ok {
		t.Fatalf("no line of ten dashes")
	}
	input += "\n"
	adapted, warnings, adaptErr := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	var got string
	if adaptErr != nil {
		got = adaptErr.Error() + "\n"
		for _, secret := range secrets {
			if strings.Contains(got, secret) {
				t.Errorf("the error contains a secret: %s", got)
			}
		}
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
		if err := os.WriteFile(file, []byte(input+separator+got), 0o644); err != nil {
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
	if err := Validate(t, adapted); err != nil {
		t.Errorf("Caddy refuses the adapted configuration: %v", err)
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

// Validate provisions a whole JSON configuration, as `caddy validate` does: it
// starts nothing and listens nowhere.
func Validate(t *testing.T, config []byte) error {
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
