package replay_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/caddymodule/replay"
	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/traffic"
)

// policyOptions are the options with which recorded requests are replayed.
func policyOptions(more ...string) (all []string) {
	for _, automatic := range []string{"sdk", "adopt", "proxy", "off"} {
		all = append(all, "automatic "+automatic, "automatic "+automatic+"\nfollow_user")
		for _, option := range more {
			all = append(all, "automatic "+automatic+"\n"+option)
		}
	}
	return all
}

// replayPolicy makes a policy from lines of a Caddyfile.
func replayPolicy(t *testing.T, options string) replay.Policy {
	t.Helper()
	config, err := new(caddymodule.SiteConfig).With(options)
	if err != nil {
		t.Fatal(err)
	}
	site, err := config.Site()
	if err != nil {
		t.Fatal(err)
	}
	return replay.Policy{Name: options, Site: site}
}

// replayedLines replays lines, and returns the output lines by their member "seq".
func replayedLines(t *testing.T, options string, lines []byte) map[string][]byte {
	t.Helper()
	var out bytes.Buffer
	_, err := replay.Run(t.Context(), &replay.Options{
		Stdin: bytes.NewReader(lines), Policies: []replay.Policy{replayPolicy(t, options)},
		Output: &out, OmitControls: true, Capacity: 1000, TempDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for line := range bytes.Lines(out.Bytes()) {
		all[string(memberOf(t, line, "seq"))] = line
	}
	return all
}

// memberOf returns a member of a line, "" if it has none.
func memberOf(t *testing.T, line []byte, name string) (value []byte) {
	t.Helper()
	if !enrich.EachMember(line, func(key []byte, start, end int) {
		if string(key) == name {
			value = line[start:end]
		}
	}) {
		t.Fatalf("not JSON: %q", line)
	}
	return value
}

// TestReplayCommandOfCaptures: the replay of captures gives the same bytes as sending them
// through a Caddy with the same options.
func TestReplayCommandOfCaptures(t *testing.T) {
	for _, file := range captureFiles {
		lines, err := os.ReadFile(filepath.Join("testdata/captures", file))
		if err != nil {
			t.Fatal(err)
		}
		all := captures(t, file)
		for _, options := range policyOptions() {
			t.Run(file+"/"+strings.ReplaceAll(options, "\n", " "), func(t *testing.T) {
				p := proxytest.Run(t, proxytest.Setup{Session: options})
				replayed := replayedLines(t, options, lines)
				changed := 0
				for i := range all {
					c := &all[i]
					if c.Body == nil {
						continue
					}
					arrived := forwardAs(t, p, c, c.plainRequest(t)).Body
					got := memberOf(t, replayed[fmt.Sprint(c.Seq)], "body")
					if !bytes.Equal(got, arrived) {
						t.Errorf("%s %s: replayed\n%s\narrived\n%s", c.URL, c.Label, got, arrived)
					}
					if !bytes.Equal(got, c.Body) {
						changed++
					}
				}
				t.Logf("%d of %d requests changed", changed, len(all))
			})
		}
	}
}

// plainRequest is the captured request with the body of its line.
func (c *captured) plainRequest(t *testing.T) proxytest.Request {
	t.Helper()
	r := c.request(t)
	r.Header.Del("Content-Encoding")
	r.Body = string(c.Body)
	return r
}

// trafficSeed is the seed of the random traffic. To repeat a failure, use the seed that it
// names.
var trafficSeed = flag.Uint64("traffic-seed", 0, "the seed of random traffic; 0 for those that are always tried")

// seedOr returns the seed to try: a fixed one, or that of the flag.
func seedOr(fixed int) uint64 {
	if *trafficSeed != 0 {
		return *trafficSeed
	}
	return uint64(fixed)
}

// TestReplayCommandOfTraffic: random requests are decided the same by a replay as by a
// Caddy, with every policy.
func TestReplayCommandOfTraffic(t *testing.T) {
	for i, options := range policyOptions("share_sessions", "share_sessions\nfollow_user") {
		t.Run(strings.ReplaceAll(options, "\n", " "), func(t *testing.T) {
			seed := seedOr(i + 1)
			made := traffic.New(seed, 6)
			var lines []byte
			requests := make([]traffic.Request, 150)
			for i := range requests {
				requests[i] = made.Next()
				lines = append(lines, requests[i].Line(i)...)
			}
			p := proxytest.Run(t, proxytest.Setup{Session: options})
			replayed := replayedLines(t, options, lines)
			for i := range requests {
				r := &requests[i]
				p.Plane.Reply(r.Status, "made up")
				p.Send(t, proxytest.Request{Path: r.Path, WriteKey: r.WriteKey, Body: r.Body, Received: time.UnixMilli(r.Received)})
				arrived, line := p.Plane.Take(), replayed[fmt.Sprint(i)]
				if (line != nil) != (len(arrived) == 1) {
					t.Fatalf("seed %d: request %d arrived %d times, came out: %v\n%s", seed, i, len(arrived), line != nil, r.Line(i))
				}
				if line == nil {
					continue
				}
				if got := memberOf(t, line, "body"); !bytes.Equal(got, arrived[0].Body) {
					t.Fatalf("seed %d, request %d\n%s replayed\n%s\narrived\n%s", seed, i, r.Line(i), got, arrived[0].Body)
				}
			}
		})
	}
}

// storedEvent is an event as the data plane stores it, with a member "seq": with the
// timestamps that were missing, and a timestamp by the data plane's clock.
func storedEvent(t *testing.T, seq int, body, writeKey string, received int64) string {
	t.Helper()
	at := func(name string) (int64, bool) { return enrich.ParseTime(memberOf(t, []byte(body), name)) }
	said := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
	more := fmt.Sprintf(`{"seq":%d,"writeKey":%q,"receivedAt":%q,`, seq, writeKey, said(received))
	sent, ok := at("sentAt")
	if !ok {
		sent, more = received, more+fmt.Sprintf(`"sentAt":%q,`, said(received))
	}
	original, ok := at("originalTimestamp")
	if !ok {
		original, more = received, more+fmt.Sprintf(`"originalTimestamp":%q,`, said(received))
	}
	if _, ok := at("timestamp"); !ok {
		more += fmt.Sprintf(`"timestamp":%q,`, said(received-(sent-original)))
	}
	return more + body[1:] + "\n"
}

// sessionFields are the session fields of a message, as JSON.
func sessionFields(t *testing.T, message []byte) string {
	t.Helper()
	var m struct {
		Context struct{ SessionID, SessionStart json.RawMessage }
	}
	if err := json.Unmarshal(message, &m); err != nil {
		return string(message) // its context is no object
	}
	return string(m.Context.SessionID) + " " + string(m.Context.SessionStart)
}

// TestReplayCommandOfEvents: a stored event gets the same session in a replay as when it
// is sent.
func TestReplayCommandOfEvents(t *testing.T) {
	for i, options := range policyOptions() {
		t.Run(strings.ReplaceAll(options, "\n", " "), func(t *testing.T) {
			seed := seedOr(i + 1)
			p := proxytest.Run(t, proxytest.Setup{Session: options})
			made := traffic.New(seed, 6)
			made.Simple = true
			var lines, sent []string
			var arrived []*proxytest.Arrival
			for i := range 150 {
				kind, writeKey, body, received := made.Event()
				sent, lines = append(sent, body), append(lines, storedEvent(t, i, body, writeKey, received))
				p.Send(t, proxytest.Request{Path: "/v1/" + kind, WriteKey: writeKey, Body: body, Received: time.UnixMilli(received)})
				a := p.Plane.Take()
				if len(a) == 0 { // it was a control call
					a = []*proxytest.Arrival{nil}
				}
				arrived = append(arrived, a[0])
			}
			replayed := replayedLines(t, options, []byte(strings.Join(lines, "")))
			for i, a := range arrived {
				line := replayed[fmt.Sprint(i)]
				if (line == nil) != (a == nil) {
					t.Fatalf("seed %d: event %d arrived: %v, came out: %v", seed, i, a != nil, line != nil)
				}
				if a == nil {
					continue
				}
				if got, want := sessionFields(t, line), sessionFields(t, a.Body); got != want {
					t.Fatalf("seed %d, event %d %s: replayed with %s, arrived with %s\n%s", seed, i, sent[i], got, want, lines[i])
				}
			}
		})
	}
}
