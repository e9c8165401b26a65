package ruddersession_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestHeaderUpComesLater: what reverse_proxy changes in headers the handler does
// not see; what request_header changes it does.
func TestHeaderUpComesLater(t *testing.T) {
	const basic = "Basic d2sxOg==" // wk1
	for name, c := range map[string]struct{ site, writeKey, arrives string }{
		"header_up hides":      {"rudder_session\nreverse_proxy $UPSTREAM {\nheader_up -Authorization\n}", "wk1", ""},
		"request_header gives": {"request_header Authorization \"" + basic + "\"\nrudder_session\nreverse_proxy $UPSTREAM", "", basic},
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, setup{site: c.site})
			started := p.send(t, request{path: "/v1/startSession", writeKey: c.writeKey, body: `{"anonymousId":"one","sessionId":1234567890}`})
			if started.status != http.StatusOK {
				t.Fatalf("%d %s", started.status, started.body)
			}
			p.send(t, request{path: "/v1/track", writeKey: c.writeKey, body: event("one", "m")})
			a := p.plane.take()
			if len(a) != 1 || !strings.Contains(string(a[0].Body), `"sessionId":1234567890`) || a[0].Header.Get("Authorization") != c.arrives {
				t.Errorf("%d arrived: %+v", len(a), a)
			}
		})
	}
	// What header_up puts in is too late for the handler.
	p := run(t, setup{site: "rudder_session\nreverse_proxy $UPSTREAM {\nheader_up Authorization \"" + basic + "\"\n}"})
	if got := p.send(t, request{path: "/v1/startSession", body: `{"anonymousId":"one"}`}); got.status != http.StatusUnauthorized {
		t.Errorf("%d %s", got.status, got.body)
	}
}
