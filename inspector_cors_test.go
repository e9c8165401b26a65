package ruddersession_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestInspectorHasNoCORS: nothing that the inspector answers, errors included, may
// be read by a page of another origin.
func TestInspectorHasNoCORS(t *testing.T) {
	p := run(t, inspected("table memory"))
	asking := http.Header{"Content-Type": {"application/json"}}
	for _, r := range []request{
		{method: "GET", path: "/look/"},
		{method: "GET", path: "/look/inspector.js"},
		{method: "GET", path: "/look/other.html"},
		{method: "GET", path: "/bare"},
		{method: "GET", path: "/look/api/session"},
		{method: "OPTIONS", path: "/look/api/session", header: http.Header{"Access-Control-Request-Method": {"POST"}}},
		{method: "POST", path: "/look/"},
		{path: "/look/api/session", header: asking, body: user1},
		{path: "/look/api/session", header: asking, body: "nonsense"},
		{path: "/look/api/session", header: asking, body: "{}"},
		{path: "/look/api/decisions", header: asking, body: "{}"},
		{path: "/look/api/counts", header: asking, body: "{}"},
		{path: "/look/api/other", header: asking, body: "{}"},
		{path: "/look/api/session", header: http.Header{"Content-Type": {"application/json"}, "Sec-Fetch-Site": {"cross-site"}}, body: user1},
	} {
		header := r.header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set("Origin", "https://evil.example")
		r.header = header
		got := p.send(t, r)
		for name, values := range got.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s %s: %d with %s: %q", r.method, r.path, got.status, name, values)
			}
		}
	}
}
