package ruddersession_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func inspected(option string) setup {
	return setup{
		global: "rudder_session {\nstore memory\n}",
		site: "handle_path /look/* {\nrudder_session_inspector {\n" + option + "\n}\n}\n" +
			"handle /bare {\nrudder_session_inspector {\n" + option + "\n}\n}\n" + directives,
	}
}

// inspect asks as the page does.
func (p *proxy) inspect(t *testing.T, what, body string) reply {
	t.Helper()
	return p.send(t, request{path: "/look/api/" + what, body: body, header: http.Header{
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
		got := p.send(t, request{method: "GET", path: path})
		if got.status != http.StatusOK || got.header.Get("Content-Type") != want.kind || !strings.Contains(got.body, want.text) {
			t.Errorf("%s: %d %v %.100s", path, got.status, got.header, got.body)
		}
		for name, value := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if got.header.Get(name) != value {
				t.Errorf("%s: %s: %q", path, name, got.header.Get(name))
			}
		}
		if csp := got.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self';") || strings.Contains(csp, "unsafe") {
			t.Error(csp)
		}
	}
	// It has a sentence for each reason.
	script := p.send(t, request{method: "GET", path: "/look/inspector.js"}).body
	for r := range session.Reasons {
		if !strings.Contains(script, "\n  "+r.String()+": '") {
			t.Errorf("the page does not know %s", r)
		}
	}
	for s := enrich.Asked + 1; s < enrich.Skips; s++ {
		if !strings.Contains(script, "\n  "+s.String()+": '") {
			t.Errorf("the page does not know %s", s)
		}
	}
	if got := p.send(t, request{method: "GET", path: "/bare"}); got.header.Get("Location") != "./bare/" {
		t.Errorf("%d %v", got.status, got.header)
	}
	for _, path := range []string{"/look/other.html", "/look/inspector/../../inspector.go", "/inspector/index.html"} {
		if got := p.send(t, request{method: "GET", path: path}); strings.Contains(got.body, "<title>") || strings.Contains(got.body, "package ") {
			t.Errorf("%s: %d %.100s", path, got.status, got.body)
		}
	}
	if got := p.send(t, request{method: "POST", path: "/look/"}); got.status != http.StatusMethodNotAllowed {
		t.Error(got.status)
	}
}

func TestInspectorData(t *testing.T) {
	p := run(t, inspected("table memory"))
	if got := p.inspect(t, "decisions", "{}"); got.body != "[]\n" {
		t.Errorf("%d %s", got.status, got.body)
	}
	p.start(t, "one", 1111111111)
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
		if got := p.inspect(t, c.what, c.body); got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s %s: %d %s", c.what, c.body, got.status, got.body)
		}
	}
	// Nobody but the page itself is answered.
	for name, r := range map[string]request{
		"another site": {path: "/look/api/session", body: user1, header: http.Header{"Content-Type": {"application/json"}, "Sec-Fetch-Site": {"cross-site"}}},
		"a form":       {path: "/look/api/session", body: user1, header: http.Header{"Content-Type": {"text/plain"}}},
		"a link":       {method: "GET", path: "/look/api/decisions", header: http.Header{"Content-Type": {"application/json"}}},
	} {
		if got := p.send(t, r); got.status != http.StatusForbidden && got.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// TestDecisionsAreKeptWhileAskedFor: before somebody asks none are, and no more
// than a thousand after; what is large is cut.
func TestDecisionsAreKeptWhileAskedFor(t *testing.T) {
	p := run(t, inspected("table memory"))
	p.start(t, "before", 1111111111)
	if got := p.inspect(t, "decisions", "{}").body; got != "[]\n" {
		t.Fatal(got)
	}
	large := strings.Repeat("x", 10_000)
	var events []string
	for i := range 1500 {
		events = append(events, fmt.Sprintf(`{"type":"track","anonymousId":"a%d","userId":%q,"event":%q}`, i, large[:3000], large[:300]))
	}
	for i := 0; i < len(events); i += 500 {
		p.post(t, "/v1/batch", `{"batch":[`+strings.Join(events[i:i+500], ",")+`]}`)
	}
	got := p.inspect(t, "decisions", "{}").body
	if n := strings.Count(got, `"received"`); n != 1000 || !strings.Contains(got, `"a1499"`) || strings.Contains(got, `"a499"`) {
		t.Errorf("%d kept", n)
	}
	if len(got) > 1000*1500 {
		t.Errorf("%d bytes", len(got))
	}
}

// TestForgottenDecisions: with a user go the decisions that are kept about him and
// his devices, and no others.
func TestForgottenDecisions(t *testing.T) {
	s := inspected("table memory")
	s.global = "admin 127.0.0.1:$PORT2\n" + s.global
	p := run(t, s)
	p.inspect(t, "decisions", "{}")
	long := strings.Repeat("l", 300)
	for _, id := range []string{"phone", long} {
		p.post(t, "/v1/startSession", fmt.Sprintf(`{"anonymousId":%q,"userId":"anna"}`, id))
		p.post(t, "/v1/page", fmt.Sprintf(`{"anonymousId":%q}`, id))
	}
	p.post(t, "/v1/page", `{"userId":"anna"}`)
	p.post(t, "/v1/page", `{"anonymousId":"anna"}`) // another kind of id
	p.post(t, "/v1/page", `{"anonymousId":"tablet","userId":"ben"}`)
	kept := func(want ...string) {
		t.Helper()
		var all []struct {
			Anonymous string `json:"anonymous_id"`
			User      string `json:"user_id"`
		}
		if err := json.Unmarshal([]byte(p.inspect(t, "decisions", "{}").body), &all); err != nil {
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
		if err := p.load(t, inspected(option)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", option, err)
		}
	}
}
