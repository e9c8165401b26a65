package integration_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestLogsAndMetrics makes calls of every kind, invalid ones too: they are logged and
// counted, without any ids.
func TestLogsAndMetrics(t *testing.T) {
	f := newFaults(t)
	file := filepath.Join(t.TempDir(), "log")
	p := run(t, proxytest.Setup{
		Global: "rudder_session {\n" + f.option() + "\n}\nlog everything {\n\toutput file " + file + "\n\tlevel INFO\n}",
		Site:   "metrics /metrics\n" + proxytest.Directives,
	})
	count := func(name string) string {
		t.Helper()
		got := p.Send(t, proxytest.Request{Method: http.MethodGet, Path: "/metrics"})
		for line := range strings.Lines(got.Body) {
			if value, ok := strings.CutPrefix(line, name+" "); ok {
				return strings.TrimSpace(value)
			}
		}
		return ""
	}
	const invalid = "caddy_rudder_session_invalid_session_ids_total"
	before := count(invalid)

	// These texts must not appear anywhere.
	const secretID, secretUser, secretKey, secretEvent = "secret-anonymous", "secret-user", "secret-key", "secret-event"
	send := func(path, body string) {
		p.Send(t, proxytest.Request{Path: path, WriteKey: secretKey, Body: body})
	}
	start := func(id string) string {
		return `{"type":"startSession","anonymousId":"` + secretID + `","userId":"` + secretUser + `","sessionId":` + id + `}`
	}
	all := func() {
		send("/v1/startSession", start(`1234567890`))
		send("/v1/startSession", start(`"secret-event"`))
		send("/v1/batch", `{"batch":[`+start(`"secret-event"`)+`,`+proxytest.Event(secretID, secretEvent)+`]}`)
		send("/v1/track", proxytest.Event(secretID, secretEvent))
		send("/v1/endSession", start(`null`))
		send("/v1/endSession", `secret-event`)
	}
	all()
	if after := count(invalid); before == "" || after == before {
		t.Errorf("invalid ids: counted %q, then %q", before, after)
	}
	f.reads.Store(true)
	f.writes.Store(true)
	p.Send(t, proxytest.Request{Path: "/v1/track", WriteKey: secretKey, Body: proxytest.Event(secretID+"2", secretEvent)})
	all()
	f.reads.Store(false)
	f.writes.Store(false)

	metrics := p.Send(t, proxytest.Request{Method: http.MethodGet, Path: "/metrics"}).Body
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{secretID, secretUser, secretKey, secretEvent, "1234567890"} {
		if strings.Contains(metrics, secret) {
			t.Errorf("metrics name %s", secret)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, secret) {
				t.Errorf("logged %s: %s", secret, line)
			}
		}
	}
	for _, want := range []string{`"level":"warn"`, `"level":"error"`, errFaulty.Error()} {
		if !strings.Contains(string(text), want) {
			t.Errorf("nothing is logged with %s", want)
		}
	}
}
