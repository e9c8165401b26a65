package integration_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// TestFileTakenAway: while the file is gone, a control call is not answered 200, because
// it would be lost; events of known users are served, and a reload opens the file that
// is there then.
func TestFileTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	s := proxytest.Setup{Global: "metrics\n" + inFile(path), Session: "automatic off", Site: withMetrics}
	p := run(t, s)
	p.Start(t, "a1", id1)
	detached := func() bool {
		body := p.Send(t, proxytest.Request{Method: "GET", Path: "/metrics"}).Body
		return strings.Contains(body, `caddy_rudder_session_store_detached{table="file"} 1`)
	}
	if detached() {
		t.Error("it is there")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !detached() {
		t.Error("it is not seen that the file is gone")
	}
	for _, call := range []string{"startSession", "endSession", "resetSession"} {
		if got := p.Send(t, proxytest.Request{Path: "/v1/" + call, WriteKey: "wk1", Body: `{"anonymousId":"a1"}`}); got.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", call, got.Status, got.Body)
		}
	}
	p.Plane.Take()
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	p.Expect(t, "1234567890!")
	p.mustLoad(t, s)
	if detached() {
		t.Error("what is there now is not opened")
	}
	p.Start(t, "a2", id1)
	p.stopCaddy(t)
	p.mustLoad(t, s)
	if got := p.current(t, "a2"); got != fmt.Sprint(id1) {
		t.Errorf("session %s", got)
	}
}

// TestFileByOtherNames: a reload that names the same file differently uses the open one.
func TestFileByOtherNames(t *testing.T) {
	dir := t.TempDir()
	path, hard, soft := filepath.Join(dir, "sessions.db"), filepath.Join(dir, "hard.db"), filepath.Join(dir, "soft.db")
	p := run(t, proxytest.Setup{Global: inFile(path)})
	p.Start(t, "a1", id1)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Link(path, hard), os.Symlink(path, soft), os.Symlink(dir, filepath.Join(dir, "loop"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{soft, hard, relative, filepath.Join(dir, "loop", "sessions.db"), dir + "/./loop/../sessions.db", path} {
		if err := p.Load(t, proxytest.Setup{Global: inFile(name)}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := p.current(t, "a1"); got != fmt.Sprint(id1) {
			t.Errorf("%s: session %s", name, got)
		}
	}
	// A file that was moved is found at its new path.
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	p.mustLoad(t, proxytest.Setup{Global: inFile(path + ".moved")})
	p.Start(t, "a2", id1)
	p.stopCaddy(t)
	p.mustLoad(t, proxytest.Setup{Global: inFile(path + ".moved")})
	if got := p.current(t, "a2"); got != fmt.Sprint(id1) {
		t.Errorf("session %s", got)
	}
}

// TestForgetLeavesNoTraces: after forget, an id is nowhere in the file; files that were
// set aside are listed, and deleted on request.
func TestForgetLeavesNoTraces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	if err := os.WriteFile(path, []byte("an-id-of-somebody"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := run(t, proxytest.Setup{Global: "admin 127.0.0.1:$PORT2\n" + inFile(path)})
	for i := range 50 {
		p.Start(t, fmt.Sprint("an-anonymous-id-", i), id1)
	}
	var answer struct {
		Forgotten int
		SetAside  []string `json:"set_aside"`
		Removed   []string
	}
	p.answers(t, http.MethodPost, "forget", `{"anonymous_id":"an-anonymous-id-7"}`, &answer)
	if answer.Forgotten != 1 || len(answer.SetAside) != 1 || !strings.HasPrefix(answer.SetAside[0], path+".unreadable-") {
		t.Errorf("%+v", answer)
	}
	aside := answer.SetAside
	redistest.Await(t, "nothing is left of the id", func() bool {
		content, err := os.ReadFile(path)
		return err == nil && !bytes.Contains(content, []byte("an-anonymous-id-7")) && bytes.Contains(content, []byte("an-anonymous-id-8"))
	})
	answer.SetAside = nil
	p.answers(t, http.MethodPost, "forget", `{"anonymous_id":"an-anonymous-id-7","remove_set_aside":true}`, &answer)
	if answer.Forgotten != 0 || len(answer.SetAside) != 0 || fmt.Sprint(answer.Removed) != fmt.Sprint(aside) {
		t.Errorf("%+v", answer)
	}
	if _, err := os.Stat(aside[0]); err == nil {
		t.Error("it is still there")
	}
}
