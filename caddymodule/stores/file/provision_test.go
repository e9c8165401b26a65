package file_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rudder-session/rudder-session/caddymodule/stores/file"
	"github.com/rudder-session/rudder-session/internal/caddyfiletest"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

// wholeConfig is a configuration with options of the store.
func wholeConfig(options string) []byte {
	if options != "" {
		options = ", " + options
	}
	return fmt.Appendf(nil, `{"apps": {"rudder_session": {"store": {"module": "file"%s}}}}`, options)
}

// provisioned returns a store with options.
func provisioned(t *testing.T, options string) *file.Store {
	t.Helper()
	s := new(file.Store)
	if err := json.Unmarshal([]byte("{"+options+"}"), s); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	if err := s.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestProvision: valid options and their effect.
func TestProvision(t *testing.T) {
	home := setEnv(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	byDefault := filepath.Join(home, "caddy", "rudder_session", "sessions.db")
	for name, c := range map[string]struct {
		options  string
		path     string
		interval time.Duration
	}{
		"nothing":                   {``, byDefault, 100 * time.Millisecond},
		"null":                      {`"path": null, "flush_interval": null`, byDefault, 100 * time.Millisecond},
		"empty":                     {`"path": "", "flush_interval": ""`, byDefault, 100 * time.Millisecond},
		"path":                      {`"path": "/var/lib/sessions"`, "/var/lib/sessions", 100 * time.Millisecond},
		"path with spaces":          {`"path": "/var/lib/my sessions.db"`, "/var/lib/my sessions.db", 100 * time.Millisecond},
		"path, not in one spelling": {`"path": "/var//lib/./x/../sessions.db"`, "/var/lib/sessions.db", 100 * time.Millisecond},
		"relative":                  {`"path": "sessions.db"`, filepath.Join(here, "sessions.db"), 100 * time.Millisecond},
		"relative, below":           {`"path": "a/sessions.db"`, filepath.Join(here, "a", "sessions.db"), 100 * time.Millisecond},
		"relative, above":           {`"path": "../sessions.db"`, filepath.Join(filepath.Dir(here), "sessions.db"), 100 * time.Millisecond},
		"path {env}":                {`"path": "{env.RUDDER_SESSION_TEST_DIR}"`, filepath.Join(home, "dir"), 100 * time.Millisecond},
		"path with {env} in it":     {`"path": "{env.RUDDER_SESSION_TEST_DIR}/sessions.db"`, filepath.Join(home, "dir", "sessions.db"), 100 * time.Millisecond},
		"interval":                  {`"flush_interval": "2s"`, byDefault, 2 * time.Second},
		"interval, shortest":        {`"flush_interval": "1ms"`, byDefault, time.Millisecond},
		"interval, days":            {`"flush_interval": "1d"`, byDefault, 24 * time.Hour},
		"interval {env}":            {`"flush_interval": "{env.RUDDER_SESSION_TEST_INTERVAL}"`, byDefault, 250 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			if err := caddyfiletest.Validate(t, wholeConfig(c.options)); err != nil {
				t.Error(err)
			}
			s := provisioned(t, c.options)
			if got := s.Identity(); got != "file "+c.path {
				t.Errorf("identity %q, want that of %q", got, c.path)
			}
			if got := s.DelayWrites(); got != c.interval {
				t.Errorf("writes are delayed by %v", got)
			}
		})
	}
	if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
		t.Errorf("what was only provisioned has made %v, %v", left, err)
	}
}

// TestProvisionRefuses: each invalid option is refused with an error that names it.
func TestProvisionRefuses(t *testing.T) {
	setEnv(t)
	for name, c := range map[string]struct{ options, want string }{
		"an unknown option":          {`"file": "x"`, `unknown field "file"`},
		"path, a list":               {`"path": ["x"]`, `path`},
		"path, true":                 {`"path": true`, `path`},
		"path, a directory":          {`"path": "/var/lib/"`, `path: "/var/lib/" names a directory`},
		"path, here":                 {`"path": "./"`, `path: "./" names a directory`},
		"path, unknown placeholder":  {`"path": "{env.RUDDER_SESSION_TEST_NOT_SET}"`, `path: `},
		"path, empty placeholder":    {`"path": "{env.RUDDER_SESSION_TEST_EMPTY}"`, `path: `},
		"path, empty in it":          {`"path": "/var/{env.RUDDER_SESSION_TEST_EMPTY}/x"`, `path: `},
		"path, unknown kind":         {`"path": "/var/{http.request.host}"`, `path: `},
		"interval, a word":           {`"flush_interval": "soon"`, `flush_interval: "soon" is no duration`},
		"interval, no unit":          {`"flush_interval": "100"`, `flush_interval: "100" is no duration`},
		"interval, a number":         {`"flush_interval": 100`, `flush_interval: "100" is no duration`},
		"interval, 0":                {`"flush_interval": "0s"`, `flush_interval: "0s" is too short`},
		"interval, short":            {`"flush_interval": "999us"`, `flush_interval: "999us" is too short`},
		"interval, negative":         {`"flush_interval": "-1s"`, `flush_interval: "-1s" is too short`},
		"interval, false":            {`"flush_interval": false`, `flush_interval`},
		"interval, unknown":          {`"flush_interval": "{env.RUDDER_SESSION_TEST_NOT_SET}"`, `flush_interval: `},
		"interval, no duration once": {`"flush_interval": "{env.RUDDER_SESSION_TEST_DIR}"`, `flush_interval: "`},
	} {
		t.Run(name, func(t *testing.T) {
			err := caddyfiletest.Validate(t, wholeConfig(c.options))
			if err == nil {
				t.Fatalf("accepted, want a refusal with %q", c.want)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "rudder_session") {
				t.Errorf("got %q, want %q in it", err, c.want)
			}
		})
	}
}

// TestIdentity: a store's identity is its file, whatever the other options.
func TestIdentity(t *testing.T) {
	home := setEnv(t)
	path := filepath.Join(home, "dir", "sessions.db")
	same := []string{
		fmt.Sprintf(`"path": %q`, path),
		fmt.Sprintf(`"path": %q, "flush_interval": "2s"`, path),
		fmt.Sprintf(`"path": %q`, filepath.Join(home, "dir")+"/./sessions.db"),
		fmt.Sprintf(`"path": %q`, filepath.Join(home, "dir")+"/../dir//sessions.db"),
		`"path": "{env.RUDDER_SESSION_TEST_DIR}/sessions.db"`,
	}
	for _, options := range same {
		if got := provisioned(t, options).Identity(); got != "file "+path {
			t.Errorf("%s has identity %q", options, got)
		}
	}
	if got := provisioned(t, fmt.Sprintf(`"path": %q`, path+"2")).Identity(); got == "file "+path {
		t.Error("another file has the same identity")
	}
}

// TestOpen: errors say what to do, and it is logged when a file is set aside.
func TestOpen(t *testing.T) {
	home := setEnv(t)
	path := filepath.Join(home, "dir", "sessions.db")
	s := provisioned(t, fmt.Sprintf(`"path": %q`, path))
	if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
		t.Errorf("it was made before it was opened: %v", err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	store, err := s.Open(zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	// The file is locked: by another process, or by another store in this one.
	_, err = s.Open(zap.New(core))
	for _, want := range []string{"store file: ", path, filestore.ErrLocked.Error(), "one file serves one Caddy"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error: %v, want %q in it", err, want)
		}
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if n := logs.Len(); n > 0 {
		t.Errorf("logged: %v", logs.All())
	}
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if store, err = s.Open(zap.New(core)); err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	entries := logs.TakeAll()
	if len(entries) != 1 || entries[0].Level != zapcore.ErrorLevel {
		t.Fatalf("logged: %v", entries)
	}
	fields := entries[0].ContextMap()
	aside, _ := fields["set_aside_as"].(string)
	if text, err := os.ReadFile(aside); err != nil || string(text) != "text" || fields["file"] != path || fields["error"] == nil {
		t.Errorf("logged: %v; %v", fields, err)
	}
	// A directory is refused, and not changed.
	_, err = provisioned(t, fmt.Sprintf(`"path": %q`, filepath.Dir(path))).Open(zap.New(core))
	if err == nil || !strings.Contains(err.Error(), "store file: "+filepath.Dir(path)) {
		t.Errorf("error: %v", err)
	}
}
