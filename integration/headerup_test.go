package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestHeaderUpComesLater: the handler does not see headers that reverse_proxy changes,
// but those that request_header changes.
func TestHeaderUpComesLater(t *testing.T) {
	const basic = "Basic d2sxOg==" // wk1
	for name, c := range map[string]struct{ site, writeKey, arrives string }{
		"header_up hides":      {"rudder_session\nreverse_proxy $UPSTREAM {\nheader_up -Authorization\n}", "wk1", ""},
		"request_header gives": {"request_header Authorization \"" + basic + "\"\nrudder_session\nreverse_proxy $UPSTREAM", "", basic},
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, proxytest.Setup{Site: c.site})
			started := p.Send(t, proxytest.Request{Path: "/v1/startSession", WriteKey: c.writeKey, Body: `{"anonymousId":"one","sessionId":1234567890}`})
			if started.Status != http.StatusOK {
				t.Fatalf("%d %s", started.Status, started.Body)
			}
			p.Send(t, proxytest.Request{Path: "/v1/track", WriteKey: c.writeKey, Body: proxytest.Event("one", "m")})
			a := p.Plane.Take()
			if len(a) != 1 || !strings.Contains(string(a[0].Body), `"sessionId":1234567890`) || a[0].Header.Get("Authorization") != c.arrives {
				t.Errorf("%d arrived: %+v", len(a), a)
			}
		})
	}
	// A header that header_up sets comes too late for the handler.
	p := run(t, proxytest.Setup{Site: "rudder_session\nreverse_proxy $UPSTREAM {\nheader_up Authorization \"" + basic + "\"\n}"})
	if got := p.Send(t, proxytest.Request{Path: "/v1/startSession", Body: `{"anonymousId":"one"}`}); got.Status != http.StatusUnauthorized {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}
