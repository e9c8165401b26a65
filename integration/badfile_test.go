package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

// TestValidateTouchesNoFile: `caddy validate` may be run while a server has the file
// open, and by another user than the file's owner.
func TestValidateTouchesNoFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sessions.db")
	p := run(t, proxytest.Setup{Global: inFile(path)})
	p.Start(t, "a1", id1)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	validated := func(s proxytest.Setup) {
		t.Helper()
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(s.Text(p.Storage, p.Plane.Listener.Addr().String(), p.Port, p.Port2)), nil)
		if err != nil {
			t.Fatal(err)
		}
		config := new(caddy.Config)
		if err := json.Unmarshal(adapted, config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(config); err != nil {
			t.Error(err)
		}
	}
	damaged := filepath.Join(dir, "damaged.db")
	if err := os.WriteFile(damaged, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		validated(proxytest.Setup{Global: inFile(path, "flush_interval 5s")})
		validated(proxytest.Setup{Global: inFile(filepath.Join(dir, "new", "sessions.db"))})
		validated(proxytest.Setup{Global: inFile(damaged)})
		validated(proxytest.Setup{})
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed: %v", err)
	}
	var names []string
	for _, root := range []string{dir, filepath.Join(p.Storage, "caddy")} {
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !strings.Contains(path, "instance.uuid") && !strings.Contains(path, "last_clean") {
				names = append(names, filepath.Base(path))
			}
			return nil
		})
	}
	if fmt.Sprint(names) != "[damaged.db sessions.db]" {
		t.Errorf("there is now %q", names)
	}
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	p.Expect(t, "1234567890!")
}

// TestLockedFile: a configuration whose file another process has locked is refused with
// the file's name, and the previous one stays in use.
func TestLockedFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "locked.db")
	p := run(t, proxytest.Setup{Global: inFile(filepath.Join(dir, "sessions.db"))})
	p.Start(t, "a1", id1)
	other, err := filestore.Open(path, filestore.Log{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := p.Load(t, proxytest.Setup{Global: inFile(path)})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("error: %v", err)
		}
		p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
		p.Expect(t, "1234567890!")
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	p.mustLoad(t, proxytest.Setup{Global: inFile(path)})
	if got := p.current(t, "a1"); got != "" {
		t.Errorf("session %q in another file", got)
	}
	// The file of the refused configuration is not left locked.
	other, err = filestore.Open(filepath.Join(dir, "sessions.db"), filestore.Log{})
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
}

// TestDamagedFileAtStart: a damaged file is set aside, which is logged as an error, and
// Caddy serves. The log has no ids.
func TestDamagedFileAtStart(t *testing.T) {
	dir := t.TempDir()
	path, log := filepath.Join(dir, "sessions.db"), filepath.Join(t.TempDir(), "log")
	logging := "\nlog everything {\n\toutput file " + log + "\n\tlevel DEBUG\n}"
	s := proxytest.Setup{Global: inFile(path) + logging, Session: "automatic proxy"}
	p := run(t, s)
	const secretID, secretKey = "secret-anonymous", "secret-key"
	send := func(path, body string) proxytest.Reply {
		t.Helper()
		return p.Send(t, proxytest.Request{Path: path, WriteKey: secretKey, Body: body})
	}
	send("/v1/startSession", `{"anonymousId":"`+secretID+`","sessionId":1234567890}`)
	send("/v1/track", proxytest.Event(secretID, "m1"))
	p.Expect(t, "1234567890!")
	p.stopCaddy(t)

	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Errors about unreadable pages do not quote their content.
	damaged := bytes.Clone(content[:2*os.Getpagesize()])
	for len(damaged) < len(content) {
		damaged = append(damaged, secretID...)
	}
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	p.mustLoad(t, s)
	send("/v1/startSession", `{"anonymousId":"`+secretID+`","sessionId":1234567891}`)
	send("/v1/track", proxytest.Event(secretID, "m2"))
	p.Expect(t, "1234567891!")
	asides, _ := filepath.Glob(path + ".unreadable-*")
	if len(asides) != 1 {
		t.Fatalf("set aside: %q", asides)
	}
	if kept, err := os.ReadFile(asides[0]); err != nil || !bytes.Equal(kept, damaged) {
		t.Errorf("what was set aside is not what was there: %v", err)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for line := range strings.Lines(string(text)) {
		var entry struct{ Level, Logger, File, SetAsideAs string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "error" && entry.File == path && strings.Contains(line, asides[0]) {
			told++
		}
		for _, secret := range []string{secretID, secretKey, "1234567890", "1234567891"} {
			if strings.Contains(line, secret) && strings.Contains(line, "rudder_session") {
				t.Errorf("logged %s: %s", secret, line)
			}
		}
	}
	if told != 1 {
		t.Errorf("that it was set aside is told %d times: %s", told, text)
	}
}
