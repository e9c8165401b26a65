package processes_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// forwarded sends an event to a process, and returns the session with which it reached
// the data plane.
func (p *process) forwarded(path, body string) string {
	p.T.Helper()
	got, err := p.Send(path, body)
	if err != nil || got.Status != http.StatusOK {
		p.T.Fatalf("%s: %d %s, %v", body, got.Status, got.Body, err)
	}
	return proxytest.Messages(p.T.(*testing.T), &proxytest.Arrival{Body: []byte(got.Body)})[0].Session()
}

// TestKilledWhenForwarded kills a proxy as soon as an event has reached the data plane:
// after the restart, the sessions that it began or ended are known.
func TestKilledWhenForwarded(t *testing.T) {
	plane := proxytest.NewDataPlane(t)
	plane.ReplyWith(proxytest.Echo)
	identify := func(user, message string) string {
		return fmt.Sprintf(`{"type":"identify","anonymousId":"a1","userId":%q,"messageId":%q}`, user, message)
	}
	cold := `{"type":"track","event":"Application Opened","anonymousId":"a1","messageId":"cold","channel":"mobile",` +
		`"properties":{"from_background":false},"context":{"sessionId":1700000000000,"sessionStart":true}}`
	for name, test := range map[string]struct {
		automatic string
		do        func(t *testing.T, p *process)
	}{
		"a first event": {"proxy", func(t *testing.T, p *process) {
			began := p.forwarded("/v1/track", proxytest.Event("a1", "m1"))
			p.restart()
			if got := p.forwarded("/v1/track", proxytest.Event("a1", "m2")); got+"!" != began {
				t.Errorf("session %s, then %s", began, got)
			}
		}},
		"the start mark": {"off", func(t *testing.T, p *process) {
			p.Send("/v1/startSession", `{"anonymousId":"a1","sessionId":1234567890}`)
			began := p.forwarded("/v1/track", proxytest.Event("a1", "m1"))
			p.restart()
			if got := p.forwarded("/v1/track", proxytest.Event("a1", "m2")); began != "1234567890!" || got != "1234567890" {
				t.Errorf("session %s, then %s", began, got)
			}
		}},
		"another user": {"proxy", func(t *testing.T, p *process) {
			p.Send("/v1/startSession", `{"anonymousId":"a1","sessionId":1234567890}`)
			p.forwarded("/v1/identify", identify("anna", "m1"))
			p.restart()
			began := p.forwarded("/v1/identify", identify("bert", "m2"))
			p.restart()
			if got := p.forwarded("/v1/track", proxytest.Event("a1", "m3")); got+"!" != began || got == "1234567890" {
				t.Errorf("session %s, then %s", began, got)
			}
		}},
		"a cold start": {"sdk", func(t *testing.T, p *process) {
			p.Send("/v1/startSession", `{"anonymousId":"a1","sessionId":1234567890}`)
			p.forwarded("/v1/track", cold)
			p.restart()
			if got := p.forwarded("/v1/track", proxytest.Event("a1", "m2")); strings.HasPrefix(got, "1234567890") {
				t.Errorf("session %s", got)
			}
		}},
		"a batch of many": {"proxy", func(t *testing.T, p *process) {
			var body strings.Builder
			for i := range 300 {
				fmt.Fprintf(&body, ",%s", proxytest.Event(fmt.Sprint("a", i), "m1"))
			}
			got, err := p.Send("/v1/batch", `{"batch":[`+body.String()[1:]+`]}`)
			if err != nil || got.Status != http.StatusOK {
				t.Fatal(got, err)
			}
			began := map[string]string{}
			for _, m := range proxytest.Messages(t, &proxytest.Arrival{Body: []byte(got.Body)}) {
				began[m.AnonymousID] = m.Session()
			}
			p.restart()
			for i := 0; i < 300; i += 37 {
				id := fmt.Sprint("a", i)
				if got := p.forwarded("/v1/track", proxytest.Event(id, "m2")); got+"!" != began[id] {
					t.Errorf("session %s, then %s", began[id], got)
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			option := "rudder_session {\nstore file {\nflush_interval 1h\n}\n}"
			test.do(t, startProcess(t, plane.Listener.Addr().String(), option, "automatic "+test.automatic))
		})
	}
}
