package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func inspected(option string) proxytest.Setup {
	return proxytest.Setup{
		Global: "rudder_session {\nstore memory\n}",
		Site: "handle_path /look/* {\nrudder_session_inspector {\n" + option + "\n}\n}\n" +
			"handle /bare {\nrudder_session_inspector {\n" + option + "\n}\n}\n" + proxytest.Directives,
	}
}

// inspect sends a request as the page does.
func (p *proxy) inspect(t *testing.T, what, body string) proxytest.Reply {
	t.Helper()
	return p.Send(t, proxytest.Request{Path: "/look/api/" + what, Body: body, Header: http.Header{
		"Content-Type": {"application/json"}, "Sec-Fetch-Site": {"same-origin"},
	}})
}

func TestInspectorPage(t *testing.T) {
	p := run(t, inspected("table memory"))
	for path, want := range map[string]struct{ kind, text string }{
		"/look/":              {"text/html; charset=utf-8", "<title>Session inspector</title>"},
		"/look/index.html":    {"text/html; charset=utf-8", "<title>Session inspector</title>"},
		"/look/inspector.js":  {"text/javascript; charset=utf-8", "ask('decisions')"},
		"/look/inspector.css": {"text/css; charset=utf-8", ":root"},
		"/look/icon.svg":      {"image/svg+xml", "<svg"},
	} {
		got := p.Send(t, proxytest.Request{Method: "GET", Path: path})
		if got.Status != http.StatusOK || got.Header.Get("Content-Type") != want.kind || !strings.Contains(got.Body, want.text) {
			t.Errorf("%s: %d %v %.100s", path, got.Status, got.Header, got.Body)
		}
		for name, value := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if got.Header.Get(name) != value {
				t.Errorf("%s: %s: %q", path, name, got.Header.Get(name))
			}
		}
		if csp := got.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self';") || strings.Contains(csp, "unsafe") {
			t.Error(csp)
		}
	}
	// The page has a sentence for each reason.
	script := p.Send(t, proxytest.Request{Method: "GET", Path: "/look/inspector.js"}).Body
	for r := range session.Reasons {
		if !strings.Contains(script, "\n  "+r.String()+": '") {
			t.Errorf("the page does not know %s", r)
		}
	}
	for s := enrich.NotSkipped + 1; s < enrich.SkipReasons; s++ {
		if !strings.Contains(script, "\n  "+s.String()+": '") {
			t.Errorf("the page does not know %s", s)
		}
	}
	if got := p.Send(t, proxytest.Request{Method: "GET", Path: "/bare"}); got.Header.Get("Location") != "./bare/" {
		t.Errorf("%d %v", got.Status, got.Header)
	}
	for _, path := range []string{"/look/other.html", "/look/inspector/../../inspector.go", "/inspector/index.html"} {
		if got := p.Send(t, proxytest.Request{Method: "GET", Path: path}); strings.Contains(got.Body, "<title>") || strings.Contains(got.Body, "package ") {
			t.Errorf("%s: %d %.100s", path, got.Status, got.Body)
		}
	}
	if got := p.Send(t, proxytest.Request{Method: "POST", Path: "/look/"}); got.Status != http.StatusMethodNotAllowed {
		t.Error(got.Status)
	}
}

func TestInspectorData(t *testing.T) {
	p := run(t, inspected("table memory"))
	if got := p.inspect(t, "decisions", "{}"); got.Body != "[]\n" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	p.Start(t, "one", 1111111111)
	for _, c := range []struct {
		what, body string
		status     int
		says       string
	}{
		{"session", user1, 200, `"segments":[{"mode":"manual",`},
		{"session", `{"write_key":"wk1","anonymous_id":"two"}`, 200, `"known":false`},
		{"session", `{"write_key":"wk1"}`, 400, "anonymous_id or user_id is required"},
		{"session", `nonsense`, 400, "must be a JSON object"},
		{"decisions", `{}`, 200, `"reason":"applied","session_id":1111111111,"began":true`},
		{"counts", `{}`, 200, `"consumed":1,"started":1,"ended":0`},
		{"forget", user1, 404, "no such question"},
		{"end", user1, 404, "no such question"},
	} {
		if got := p.inspect(t, c.what, c.body); got.Status != c.status || !strings.Contains(got.Body, c.says) {
			t.Errorf("%s %s: %d %s", c.what, c.body, got.Status, got.Body)
		}
	}
	// Only requests of the page itself are answered.
	for name, r := range map[string]proxytest.Request{
		"another site": {Path: "/look/api/session", Body: user1, Header: http.Header{"Content-Type": {"application/json"}, "Sec-Fetch-Site": {"cross-site"}}},
		"a form":       {Path: "/look/api/session", Body: user1, Header: http.Header{"Content-Type": {"text/plain"}}},
		"a link":       {Method: "GET", Path: "/look/api/decisions", Header: http.Header{"Content-Type": {"application/json"}}},
	} {
		if got := p.Send(t, r); got.Status != http.StatusForbidden && got.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
}

// TestDecisionsAreKeptWhileAskedFor: decisions are kept only after somebody has asked for
// them, at most a thousand; long texts are truncated.
func TestDecisionsAreKeptWhileAskedFor(t *testing.T) {
	p := run(t, inspected("table memory"))
	p.Start(t, "before", 1111111111)
	if got := p.inspect(t, "decisions", "{}").Body; got != "[]\n" {
		t.Fatal(got)
	}
	large := strings.Repeat("x", 10_000)
	var events []string
	for i := range 1500 {
		events = append(events, fmt.Sprintf(`{"type":"track","anonymousId":"a%d","userId":%q,"event":%q}`, i, large[:3000], large[:300]))
	}
	for i := 0; i < len(events); i += 500 {
		p.Post(t, "/v1/batch", `{"batch":[`+strings.Join(events[i:i+500], ",")+`]}`)
	}
	got := p.inspect(t, "decisions", "{}").Body
	if n := strings.Count(got, `"received"`); n != 1000 || !strings.Contains(got, `"a1499"`) || strings.Contains(got, `"a499"`) {
		t.Errorf("%d kept", n)
	}
	if len(got) > 1000*1500 {
		t.Errorf("%d bytes", len(got))
	}
}

// TestForgottenDecisions: when a user is forgotten, the kept decisions about the user and
// their devices are deleted, and no others.
func TestForgottenDecisions(t *testing.T) {
	s := inspected("table memory")
	s.Global = "admin 127.0.0.1:$PORT2\n" + s.Global
	p := run(t, s)
	p.inspect(t, "decisions", "{}")
	long := strings.Repeat("l", 300)
	for _, id := range []string{"phone", long} {
		p.Post(t, "/v1/startSession", fmt.Sprintf(`{"anonymousId":%q,"userId":"anna"}`, id))
		p.Post(t, "/v1/page", fmt.Sprintf(`{"anonymousId":%q}`, id))
	}
	p.Post(t, "/v1/page", `{"userId":"anna"}`)
	p.Post(t, "/v1/page", `{"anonymousId":"anna"}`) // another kind of id
	p.Post(t, "/v1/page", `{"anonymousId":"tablet","userId":"ben"}`)
	kept := func(want ...string) {
		t.Helper()
		var all []struct {
			Anonymous string `json:"anonymous_id"`
			User      string `json:"user_id"`
		}
		if err := json.Unmarshal([]byte(p.inspect(t, "decisions", "{}").Body), &all); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range all {
			got = append(got, fmt.Sprintf("%.6s of %s", d.Anonymous, d.User))
		}
		if !slices.Equal(got, want) {
			t.Errorf("kept are %q, want %q", got, want)
		}
	}
	kept("phone of anna", "phone of ", "llllll of anna", "llllll of ", " of anna", "anna of ", "tablet of ben")
	p.admin(t, "POST", "forget", `{"user_id":" anna"}`)
	kept("anna of ", "tablet of ben")
	p.admin(t, "POST", "forget", `{"anonymous_id":"anna"}`)
	kept("tablet of ben")
}

func TestInspectorOptions(t *testing.T) {
	p := run(t, inspected("table memory"))
	for option, says := range map[string]string{
		"":                           "table is missing: which table is to be looked into?",
		"table":                      "table: a value is missing",
		"table memory\ntable memory": "table: stands twice",
		"table memory x":             `table: unexpected "x"`,
		"table nowhere":              `table: "nowhere" is the name of no store in this build of Caddy`,
		"table file":                 `table: "file" is not kept here, but "memory"`,
		"tabel memory":               `rudder_session_inspector: unknown option "tabel"`,
	} {
		if err := p.Load(t, inspected(option)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", option, err)
		}
	}
}
