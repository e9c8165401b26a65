package integration_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// series are counters by name and labels, without the common prefix.
type series map[string]float64

func (p *proxy) counters(t *testing.T) series {
	t.Helper()
	s := series{}
	for line := range strings.Lines(p.Send(t, proxytest.Request{Method: "GET", Path: "/metrics"}).Body) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "caddy_rudder_session_")
		if at := strings.LastIndex(name, " "); ok && at > 0 && strings.Contains(name[:at], "_total") {
			n, err := strconv.ParseFloat(name[at+1:], 64)
			if err != nil {
				t.Fatal(err)
			}
			s[strings.ReplaceAll(name[:at], "_total", "")] = n
		}
	}
	return s
}

// more returns the counters that have grown since an earlier time.
func (s series) more(before series) (grown []string) {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if n := s[name] - before[name]; n != 0 && !strings.HasPrefix(name, "cache_") {
			grown = append(grown, fmt.Sprintf("%s +%g", name, n))
		}
	}
	return grown
}

const withMetrics = "metrics /metrics\n" + proxytest.Directives

// TestCounts sends a request of each kind, and compares all counters with what happened.
func TestCounts(t *testing.T) {
	f := newFaults(t)
	p := run(t, proxytest.Setup{
		Global:  "metrics\nrudder_session {\n" + f.option() + "\n}",
		Session: "write_keys wk1 wk2\nmax_session_starts 3\nmax_body 10KiB\nsource wk2 {\nname shop\nautomatic proxy\n}",
		Site:    withMetrics,
	})
	down := func(do func()) {
		f.reads.Store(true)
		f.writes.Store(true)
		defer f.reads.Store(false)
		defer f.writes.Store(false)
		do()
	}
	post := func(writeKey, path, body string) func() {
		return func() { p.Send(t, proxytest.Request{Path: path, WriteKey: writeKey, Body: body}) }
	}
	track := func(id, message string) string {
		return `{"anonymousId":"` + id + `","event":"x","messageId":"` + message + `"}`
	}
	for _, c := range []struct {
		name string
		do   func()
		want []string
	}{
		{"another path", post("wk1", "/v1/import", "{}"), nil},
		{"no write key", post("", "/v1/track", "{}"), []string{`requests{endpoint="track",outcome="passed",reason="no_write_key"} +1`}},
		{"another's write key", post("wk3", "/v1/track", "{}"), []string{`requests{endpoint="track",outcome="passed",reason="other_write_key"} +1`}},
		{"no body", post("wk1", "/v1/page", ""), []string{`requests{endpoint="page",outcome="passed",reason="no_body"} +1`}},
		{"of a job", func() {
			p.Send(t, proxytest.Request{Path: "/v1/page", WriteKey: "wk1", Body: "{}", Header: http.Header{"X-Rudder-Job-Run-Id": {"1"}}})
		}, []string{`requests{endpoint="page",outcome="passed",reason="job"} +1`}},
		{"in another encoding", func() {
			p.Send(t, proxytest.Request{Path: "/v1/page", WriteKey: "wk1", Body: "{}", Header: http.Header{"Content-Encoding": {"br"}}})
		}, []string{`requests{endpoint="page",outcome="passed",reason="encoding"} +1`}},
		{"no gzip", func() {
			p.Send(t, proxytest.Request{Path: "/v1/page", WriteKey: "wk1", Body: "{}", Header: http.Header{"Content-Encoding": {"gzip"}}})
		}, []string{`requests{endpoint="page",outcome="passed",reason="encoding"} +1`}},
		{"too large", post("wk1", "/v1/batch", strings.Repeat("x", 20_000)), []string{`requests{endpoint="batch",outcome="passed",reason="too_large"} +1`}},
		{"no JSON", post("wk1", "/v1/batch", `{"batch":`), []string{`requests{endpoint="batch",outcome="passed",reason="not_json"} +1`}},
		{"no session", post("wk1", "/v1/track", track("one", "1")), []string{
			`events{endpoint="track",outcome="untouched",reason="left_to_sdk",source=""} +1`,
			`requests{endpoint="track",outcome="unchanged",reason=""} +1`,
		}},
		{"start", post("wk1", "/v1/startSession", `{"anonymousId":"one","messageId":"s"}`), []string{
			`control_calls{call="startSession",result="applied"} +1`,
			`requests{endpoint="startSession",outcome="answered",reason=""} +1`,
			`sessions_started{by="startSession"} +1`,
		}},
		{"start again", post("wk1", "/v1/startSession", `{"anonymousId":"one","messageId":"s"}`), []string{
			`control_calls{call="startSession",result="repeated"} +1`,
			`requests{endpoint="startSession",outcome="answered",reason=""} +1`,
		}},
		{"first event", post("wk1", "/v1/track", track("one", "2")), []string{
			`events{endpoint="track",outcome="stamped",reason="manual_session",source=""} +1`,
			`requests{endpoint="track",outcome="changed",reason=""} +1`,
			`start_marks{state="given"} +1`,
		}},
		{"first event again", post("wk1", "/v1/track", track("one", "2")), []string{
			`events{endpoint="track",outcome="stamped",reason="manual_session",source=""} +1`,
			`requests{endpoint="track",outcome="changed",reason=""} +1`,
			`start_marks{state="repeated"} +1`,
		}},
		{"identify", post("wk1", "/v1/identify", `{"anonymousId":"one","userId":"a","messageId":"3"}`), []string{
			`events{endpoint="identify",outcome="stamped",reason="manual_session",source=""} +1`,
			`requests{endpoint="identify",outcome="changed",reason=""} +1`,
		}},
		{"identify another", post("wk1", "/v1/identify", `{"anonymousId":"one","userId":"b","messageId":"4"}`), []string{
			`events{endpoint="identify",outcome="stamped",reason="manual_session",source=""} +1`,
			`requests{endpoint="identify",outcome="changed",reason=""} +1`,
			`sessions_ended{by="identify"} +1`, `sessions_started{by="identify"} +1`,
			`start_marks{state="given"} +1`,
		}},
		{"reset", post("wk1", "/v1/resetSession", `{"anonymousId":"one"}`), []string{
			`control_calls{call="resetSession",result="applied"} +1`,
			`requests{endpoint="resetSession",outcome="answered",reason=""} +1`,
			`sessions_ended{by="resetSession"} +1`, `sessions_started{by="resetSession"} +1`,
		}},
		{"a batch with all in it", post("wk1", "/v1/batch", `{"batch":[{"type":"page","anonymousId":"one","messageId":"5"},`+
			`{"type":"endSession","anonymousId":"one","messageId":"6"},{"type":"page","anonymousId":"one","messageId":"7"},`+
			`{"type":"startSession","anonymousId":"one","sessionId":"x","messageId":"8"},`+
			`{"type":"page"},{"type":"merge"},{"type":"page","anonymousId":"one","context":1},`+
			`{"type":"page","anonymousId":"one","context":{"sources":{"job_run_id":"1"}}}]}`), []string{
			`control_calls{call="endSession",result="applied"} +1`, `control_calls{call="startSession",result="applied"} +1`,
			`events{endpoint="batch",outcome="cleared",reason="session_ended",source=""} +1`,
			`events{endpoint="batch",outcome="consumed",reason="endSession",source=""} +1`,
			`events{endpoint="batch",outcome="consumed",reason="startSession",source=""} +1`,
			`events{endpoint="batch",outcome="stamped",reason="manual_session",source=""} +1`,
			`events{endpoint="batch",outcome="untouched",reason="job",source=""} +1`,
			`events{endpoint="batch",outcome="untouched",reason="no_id",source=""} +1`,
			`events{endpoint="batch",outcome="untouched",reason="odd_context",source=""} +1`,
			`events{endpoint="batch",outcome="untouched",reason="other_type",source=""} +1`,
			`invalid_session_ids +1`,
			`requests{endpoint="batch",outcome="changed",reason=""} +1`,
			`sessions_ended{by="endSession"} +1`, `sessions_started{by="startSession"} +1`,
			`start_marks{state="given"} +1`,
		}},
		{"one start too many", post("wk1", "/v1/startSession", `{"anonymousId":"one"}`), []string{
			`control_calls{call="startSession",result="limited"} +1`,
			`requests{endpoint="startSession",outcome="limited",reason=""} +1`,
		}},
		{"calls alone", post("wk1", "/v1/track", `{"anonymousId":"one","event":"endSession"}`), []string{
			`control_calls{call="endSession",result="applied"} +1`,
			`events{endpoint="track",outcome="consumed",reason="endSession",source=""} +1`,
			`requests{endpoint="track",outcome="answered",reason=""} +1`,
			`sessions_ended{by="endSession"} +1`,
		}},
		{"nothing to end", post("wk1", "/v1/endSession", `{"anonymousId":"one"}`), []string{
			`control_calls{call="endSession",result="no_session"} +1`,
			`requests{endpoint="endSession",outcome="answered",reason=""} +1`,
		}},
		{"a wrong call", post("wk1", "/v1/startSession", `{"anonymousId":"two","sessionId":1}`), []string{
			`control_calls{call="startSession",result="invalid"} +1`,
			`requests{endpoint="startSession",outcome="invalid",reason=""} +1`,
		}},
		{"a call without a write key", post("", "/v1/startSession", `{}`), []string{
			`requests{endpoint="startSession",outcome="unauthorized",reason=""} +1`,
		}},
		{"the current session", func() {
			p.Send(t, proxytest.Request{Method: "GET", Path: "/v1/session?anonymousId=one", WriteKey: "wk1"})
		}, []string{`requests{endpoint="session",outcome="answered",reason=""} +1`}},
		{"a session of the proxy, of a source", post("wk2", "/v1/track", track("two", "1")), []string{
			`events{endpoint="track",outcome="stamped",reason="automatic_session",source="shop"} +1`,
			`requests{endpoint="track",outcome="changed",reason=""} +1`,
			`sessions_started{by="event"} +1`, `start_marks{state="given"} +1`,
		}},
		{"a mark that the data plane refuses", func() {
			p.Plane.Reply(http.StatusBadRequest, "no")
			post("wk2", "/v1/track", track("three", "1"))()
			p.Plane.Reply(http.StatusOK, "ok")
		}, []string{
			`events{endpoint="track",outcome="stamped",reason="automatic_session",source="shop"} +1`,
			`requests{endpoint="track",outcome="changed",reason=""} +1`,
			`sessions_started{by="event"} +1`, `start_marks{state="given"} +1`, `start_marks{state="released"} +1`,
		}},
		{"an event while the store is down", func() { down(post("wk1", "/v1/track", track("four", "1"))) }, []string{
			`events{endpoint="track",outcome="untouched",reason="store_error",source=""} +1`,
			`requests{endpoint="track",outcome="unchanged",reason=""} +1`, `store_errors +1`,
		}},
		{"a call while the store is down", func() { down(post("wk1", "/v1/startSession", `{"anonymousId":"four"}`)) }, []string{
			`control_calls{call="startSession",result="unavailable"} +1`,
			`requests{endpoint="startSession",outcome="unavailable",reason=""} +1`, `store_errors +1`,
		}},
		{"a call in a batch while the store is down", func() {
			down(post("wk1", "/v1/batch", `{"batch":[{"type":"startSession","anonymousId":"five"},{"type":"page","anonymousId":"five"}]}`))
		}, []string{
			`control_calls{call="startSession",result="unavailable"} +1`,
			`requests{endpoint="batch",outcome="unavailable",reason=""} +1`, `store_errors +1`,
		}},
	} {
		before := p.counters(t)
		c.do()
		proxytest.Serving.Wait(0)
		if got := p.counters(t).more(before); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got  %s\n want %s", c.name, strings.Join(got, "\n      "), strings.Join(c.want, "\n      "))
		}
	}
}

// TestCountsGoOn: counters keep their values through reloads, and after one that fails;
// the table's figures are those of the table in use.
func TestCountsGoOn(t *testing.T) {
	memory := proxytest.Setup{Global: "admin 127.0.0.1:$PORT2\nmetrics\nrudder_session {\nstore memory\ncapacity 10\n}", Site: withMetrics}
	p := run(t, memory)
	figure := func(admin bool, name string) string {
		t.Helper()
		body := ""
		if admin {
			r, err := http.NewRequest(http.MethodGet, "http://"+p.adminAddress()+"/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Close = true
			got, err := proxytest.Exchange(p.Client, r)
			if err != nil {
				t.Fatal(err)
			}
			body = got.Body
		} else {
			body = p.Send(t, proxytest.Request{Method: "GET", Path: "/metrics"}).Body
		}
		for line := range strings.Lines(body) {
			if value, ok := strings.CutPrefix(line, "caddy_rudder_session_"+name+" "); ok {
				return strings.TrimSpace(value)
			}
		}
		return "none"
	}
	const starts = `sessions_started_total{by="startSession"}`
	count := func() int {
		t.Helper()
		n, err := strconv.Atoi(figure(false, starts))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	p.Start(t, "one", 1111111111)
	before := count()
	larger := memory
	larger.Global = strings.Replace(memory.Global, "capacity 10", "capacity 20", 1)
	p.mustLoad(t, larger)
	p.Start(t, "two", 1111111112)
	if n := count(); n != before+1 {
		t.Errorf("%d, then %d", before, n)
	}
	for name, want := range map[string]string{`sessions{table="memory"}`: "2", `capacity{table="memory"}`: "20"} {
		redistest.Await(t, name+" to be "+want, func() bool { return figure(false, name) == want })
	}
	// It fails after this module was provisioned.
	if err := p.Load(t, proxytest.Setup{Global: memory.Global, Site: withMetrics, More: "http://127.0.0.1:$PORT {\nbind 256.0.0.1\n}"}); err == nil {
		t.Fatal("it was loaded")
	}
	p.Start(t, "three", 1111111113)
	for _, admin := range []bool{false, true} {
		if got := figure(admin, starts); got != strconv.Itoa(before+2) {
			t.Errorf("after a reload that failed: %s, want %d", got, before+2)
		}
		if got := figure(admin, `sessions{table="memory"}`); got != "3" {
			t.Errorf("after a reload that failed: %s sessions", got)
		}
	}
}

// TestAccessLogAndPlaceholders: both have the outcome of a request, but only placeholders
// have ids.
func TestAccessLogAndPlaceholders(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	names := []string{"endpoint", "outcome", "reason", "session_id", "events", "stamped", "cleared", "untouched", "consumed"}
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "%s={http.rudder_session.%s} ", name, name)
	}
	p := run(t, proxytest.Setup{Site: "log {\noutput file " + file + "\n}\nheader >X-Told `" + text.String() + "`\n" + proxytest.Directives})
	p.Plane.ReplyWith(proxytest.Echo)
	told := func(r proxytest.Request, want string) {
		t.Helper()
		if got := strings.TrimSpace(p.Send(t, r).Header.Get("X-Told")); got != want {
			t.Errorf("%s:\n got  %s\n want %s", r.Path, got, want)
		}
	}
	told(proxytest.Request{Path: "/v1/startSession", WriteKey: "wk1", Body: `{"anonymousId":"secret","sessionId":1234567890}`},
		"endpoint=startSession outcome=answered reason= session_id=1234567890 events=0 stamped=0 cleared=0 untouched=0 consumed=1")
	told(proxytest.Request{Path: "/v1/batch", WriteKey: "wk1", Body: `{"batch":[{"type":"page"},{"type":"page","anonymousId":"secret"},{"type":"page","anonymousId":"secret"}]}`},
		"endpoint=batch outcome=changed reason= session_id=1234567890 events=3 stamped=2 cleared=0 untouched=1 consumed=0")
	told(proxytest.Request{Path: "/v1/page", WriteKey: "wk1", Body: `{"anonymousId":"another"}`},
		"endpoint=page outcome=unchanged reason= session_id= events=1 stamped=0 cleared=0 untouched=1 consumed=0")
	told(proxytest.Request{Path: "/v1/page", Body: `{}`},
		"endpoint=page outcome=passed reason=no_write_key session_id= events=0 stamped=0 cleared=0 untouched=0 consumed=0")

	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var logged []string
	for line := range strings.Lines(string(log)) {
		var entry struct {
			Session json.RawMessage `json:"rudder_session"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		logged = append(logged, string(entry.Session))
	}
	if want := []string{
		`{"endpoint":"startSession","outcome":"answered","events":0,"stamped":0,"cleared":0,"untouched":0,"consumed":1}`,
		`{"endpoint":"batch","outcome":"changed","events":3,"stamped":2,"cleared":0,"untouched":1,"consumed":0}`,
		`{"endpoint":"page","outcome":"unchanged","events":1,"stamped":0,"cleared":0,"untouched":1,"consumed":0}`,
		`{"endpoint":"page","outcome":"passed","reason":"no_write_key"}`,
	}; !slices.Equal(logged, want) {
		t.Errorf("logged are\n%s", strings.Join(logged, "\n"))
	}
}

// TestPlaceholdersOfOtherRequests: placeholders are replaced by nothing, rather than left
// as they are in the Caddyfile; the handler that works on a request fills them.
func TestPlaceholdersOfOtherRequests(t *testing.T) {
	p := run(t, proxytest.Setup{Site: "header >X-Told `{http.rudder_session.outcome} {http.rudder_session.events} {http.rudder_session.session_id} {http.rudder_session.nothing}`\n" +
		"route {\nrudder_session {\nprefix /a\n}\nrudder_session {\nprefix /b\n}\nreverse_proxy $UPSTREAM\n}"})
	for path, want := range map[string]string{
		"/health":     "   {http.rudder_session.nothing}",
		"/a/v1/track": "unchanged 1  {http.rudder_session.nothing}",
		"/b/v1/track": "unchanged 1  {http.rudder_session.nothing}",
	} {
		if got := p.Send(t, proxytest.Request{Path: path, WriteKey: "wk1", Body: `{"anonymousId":"one"}`}).Header.Get("X-Told"); got != strings.TrimLeft(want, " ") {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
