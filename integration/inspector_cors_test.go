package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestInspectorHasNoCORS: a page of another origin cannot read any answer of the
// inspector, errors included.
func TestInspectorHasNoCORS(t *testing.T) {
	p := run(t, inspected("table memory"))
	asking := http.Header{"Content-Type": {"application/json"}}
	for _, r := range []proxytest.Request{
		{Method: "GET", Path: "/look/"},
		{Method: "GET", Path: "/look/inspector.js"},
		{Method: "GET", Path: "/look/other.html"},
		{Method: "GET", Path: "/bare"},
		{Method: "GET", Path: "/look/api/session"},
		{Method: "OPTIONS", Path: "/look/api/session", Header: http.Header{"Access-Control-Request-Method": {"POST"}}},
		{Method: "POST", Path: "/look/"},
		{Path: "/look/api/session", Header: asking, Body: user1},
		{Path: "/look/api/session", Header: asking, Body: "nonsense"},
		{Path: "/look/api/session", Header: asking, Body: "{}"},
		{Path: "/look/api/decisions", Header: asking, Body: "{}"},
		{Path: "/look/api/counts", Header: asking, Body: "{}"},
		{Path: "/look/api/other", Header: asking, Body: "{}"},
		{Path: "/look/api/session", Header: http.Header{"Content-Type": {"application/json"}, "Sec-Fetch-Site": {"cross-site"}}, Body: user1},
	} {
		header := r.Header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set("Origin", "https://evil.example")
		r.Header = header
		got := p.Send(t, r)
		for name, values := range got.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s %s: %d with %s: %q", r.Method, r.Path, got.Status, name, values)
			}
		}
	}
}
