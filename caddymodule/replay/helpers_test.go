package replay

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/internal/traffic"
)

// policy makes a policy of lines of a Caddyfile.
func policy(t testing.TB, options string) Policy {
	t.Helper()
	config, err := new(caddymodule.SiteConfig).With(options)
	if err != nil {
		t.Fatal(err)
	}
	site, err := config.Site()
	if err != nil {
		t.Fatal(err)
	}
	return Policy{Name: options, Site: site}
}

// replayAll replays, and returns what was written. What is not set in o is as usual.
func replayAll(t testing.TB, o Options) (out string, report *Report, err error) {
	t.Helper()
	if o.Policies == nil {
		o.Policies = []Policy{policy(t, "automatic proxy")}
	}
	if o.Capacity == 0 {
		o.Capacity = 1000
	}
	if o.TempDir == "" {
		o.TempDir = t.TempDir()
	}
	if o.Stdin == nil {
		o.Stdin = strings.NewReader("")
	}
	var b bytes.Buffer
	if o.Output == nil {
		o.Output = &b
	}
	report, err = Run(t.Context(), &o)
	return b.String(), report, err
}

// replayText replays a text, which nothing may go wrong with.
func replayText(t testing.TB, text string, o Options) (string, *Report) {
	t.Helper()
	o.Stdin = strings.NewReader(text)
	out, report, err := replayAll(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return out, report
}

// moment is a moment of the tests, so many seconds after the first one.
func moment(seconds float64) string {
	ms := int64(seconds * 1000)
	return fmt.Sprintf("2026-11-23T%02d:%02d:%02d.%03dZ", 9+ms/3600_000, ms/60_000%60, ms/1000%60, ms%1000)
}

// first is the first moment in Unix milliseconds.
const first = 1795424400000

// eventLine is an event as it is stored, sent and received at the same moment.
func eventLine(user string, message int, seconds float64, context string) string {
	at := moment(seconds)
	return fmt.Sprintf(`{"type":"track","event":"e","anonymousId":%q,"messageId":"m%d","originalTimestamp":%q,"sentAt":%[3]q,"timestamp":%[3]q,"receivedAt":%[3]q,"context":{%s}}`+"\n", user, message, at, context)
}

// randomText is a recording of random traffic.
func randomText(seed uint64, users, lines int) string {
	made := traffic.New(seed, users)
	var b strings.Builder
	for i := range lines {
		r := made.Next()
		b.WriteString(r.Line(i))
	}
	return b.String()
}
