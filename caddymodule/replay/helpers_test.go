package replay

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/internal/traffic"
)

// policy makes a policy from lines of a Caddyfile.
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

// replayAll replays, and returns the output. It sets defaults for options that are not
// set in o.
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

// replayText replays a text, and fails the test on an error.
func replayText(t testing.TB, text string, o Options) (string, *Report) {
	t.Helper()
	o.Stdin = strings.NewReader(text)
	out, report, err := replayAll(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return out, report
}

// smallBlocks makes blocks smaller, and the lines that are too long shorter.
func smallBlocks(t *testing.T) {
	block, line := blockSize, maxLine
	blockSize, maxLine = 1<<14, 1<<19
	t.Cleanup(func() { blockSize, maxLine = block, line })
}

// moment is the timestamp of a number of seconds after first.
func moment(seconds float64) string {
	ms := int64(seconds * 1000)
	return fmt.Sprintf("2026-11-23T%02d:%02d:%02d.%03dZ", 9+ms/3600_000, ms/60_000%60, ms/1000%60, ms%1000)
}

// first is the time at which recordings begin, in Unix milliseconds.
const first = 1795424400000

// eventLine is a stored event that was made, sent and received at the same time.
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
