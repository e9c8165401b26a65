package integration_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// withAdmin is a configuration with the admin endpoint on a free port.
func withAdmin(store, session string) proxytest.Setup {
	return proxytest.Setup{
		Global:  "admin 127.0.0.1:$PORT2\nrudder_session {\nstore " + store + "\n}",
		Session: session,
	}
}

// admin sends a request to the admin endpoint.
func (p *proxy) admin(t *testing.T, method, route, body string) proxytest.Reply {
	t.Helper()
	r, err := http.NewRequest(method, p.adminURL(route), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true // a reload replaces the endpoint, with its connections
	got, err := proxytest.Exchange(p.Client, r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (p *proxy) adminURL(route string) string {
	return "http://" + p.adminAddress() + "/rudder_session/" + route
}

func (p *proxy) adminAddress() string { return "127.0.0.1:" + strconv.Itoa(p.Port2) }

// answers sends a request to the admin endpoint, and decodes its answer, which must not
// be an error.
func (p *proxy) answers(t *testing.T, method, route, body string, into any) {
	t.Helper()
	got := p.admin(t, method, route, body)
	if got.Status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", route, body, got.Status, got.Body)
	}
	if err := json.Unmarshal([]byte(got.Body), into); err != nil {
		t.Fatalf("%s: %v: %s", route, err, got.Body)
	}
}

// timeline is the admin endpoint's answer about a user.
type timeline struct {
	Known    bool
	Current  *int64
	Segments []struct {
		Mode string
		ID   int64 `json:"session_id"`
	}
}

func (l timeline) String() string {
	var b strings.Builder
	for _, s := range l.Segments {
		fmt.Fprintf(&b, "%s %d, ", s.Mode, s.ID)
	}
	if l.Current != nil {
		return fmt.Sprintf("%snow %d", &b, *l.Current)
	}
	return b.String() + "now none"
}

const user1 = `{"write_key":"wk1","anonymous_id":"one"}`

// echoes sends an event, and returns it as it arrives at the data plane.
func (p *proxy) echoes(t *testing.T, body string) string {
	t.Helper()
	p.Plane.ReplyWith(echo)
	return p.Post(t, "/v1/track", body).Body
}

func TestAdminOfOneUser(t *testing.T) {
	for _, store := range []string{"memory", "file"} {
		t.Run(store, func(t *testing.T) {
			p := run(t, withAdmin(store, ""))
			show := func(of, want string) {
				t.Helper()
				var got timeline
				p.answers(t, "POST", "session", of, &got)
				if got.String() != want || got.Known != (len(got.Segments) > 0) {
					t.Errorf("%s: %s, want %s", of, got, want)
				}
			}
			show(user1, "now none")
			p.Start(t, "one", 1111111111)
			show(user1, "manual 1111111111, now 1111111111")
			show(`{"write_key":"wk2","anonymous_id":"one"}`, "now none")

			if got := p.admin(t, "POST", "end", user1).Body; got != "{\"ended\":true}\n" {
				t.Error(got)
			}
			show(user1, "manual 1111111111, ended 0, now none")
			p.Now = time.Now().Add(time.Second)
			if got := p.echoes(t, `{"anonymousId":"one","event":"x","context":{"sessionId":5}}`); strings.Contains(got, "sessionId") || !strings.Contains(got, "context") {
				t.Error(got)
			}
			if got := p.admin(t, "POST", "end", user1).Body; got != "{\"ended\":false}\n" {
				t.Error(got)
			}
		})
	}
}

// TestAdminForgets: a forgotten user begins anew, others are not affected; nothing about
// the user is left in memory or in the store.
func TestAdminForgets(t *testing.T) {
	redis := redistest.Start(t)
	for name, store := range map[string]string{"memory": "memory", "file": "file", "redis": "redis " + redis.URL()} {
		t.Run(name, func(t *testing.T) {
			p := run(t, withAdmin(store, ""))
			begin := func(writeKey, ids string) {
				t.Helper()
				if got := p.Send(t, proxytest.Request{Path: "/v1/startSession", WriteKey: writeKey, Body: "{" + ids + "}"}); got.Status != http.StatusOK {
					t.Fatal(got)
				}
			}
			long := strings.Repeat("l", 300)
			begin("wk1", `"anonymousId":"device 1","userId":"anna"`)
			begin("wk2", `"anonymousId":"device 2","userId":"anna"`)
			begin("wk1", `"userId":"anna"`)
			begin("wk1", `"anonymousId":"anna"`) // another kind of id
			begin("wk1", `"anonymousId":"device 3","userId":"ben"`)
			begin("wk1", `"userId":"`+long+`"`)

			forget := func(who string, want int) {
				t.Helper()
				if got := p.admin(t, "POST", "forget", who).Body; got != fmt.Sprintf("{\"forgotten\":%d}\n", want) {
					t.Errorf("%s: %s", who, got)
				}
			}
			left := func(want ...string) {
				t.Helper()
				var got []string
				for line := range strings.Lines(p.admin(t, "GET", "export", "").Body) {
					var r struct {
						Anonymous string `json:"anonymous_id"`
						User      string `json:"user_id"`
						Long      string `json:"user_id_sha256"`
					}
					if err := json.Unmarshal([]byte(line), &r); err != nil {
						t.Fatal(err)
					}
					if r.Long != "" {
						r.User = "long"
					}
					got = append(got, r.Anonymous+r.User)
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("left are %q, want %q", got, want)
				}
			}
			left("anna", "anna", "device 1", "device 2", "device 3", "long")
			forget(`{"user_id":"nobody"}`, 0)
			forget(`{"user_id":"anna","write_key":"wk2"}`, 1)
			left("anna", "anna", "device 1", "device 3", "long")
			forget(`{"user_id":" anna "}`, 2)
			left("anna", "device 3", "long")
			forget(`{"anonymous_id":"anna"}`, 1)
			forget(`{"user_id":"`+long+`"}`, 1)
			left("device 3")
			forget(`{"anonymous_id":"device 3"}`, 1)
			left()
			if got := p.echoes(t, `{"anonymousId":"device 3","event":"x"}`); strings.Contains(got, "sessionId") {
				t.Error(got)
			}
			var got timeline
			if p.answers(t, "POST", "session", `{"write_key":"wk1","anonymous_id":"device 3"}`, &got); got.Known {
				t.Error(got)
			}
		})
	}
}

// TestAdminOfSharedSessions: all sources have the same session.
func TestAdminOfSharedSessions(t *testing.T) {
	p := run(t, withAdmin("memory", "share_sessions"))
	p.Start(t, "one", 1111111111)
	for _, of := range []string{user1, `{"write_key":"wk2","anonymous_id":"one"}`} {
		var got timeline
		if p.answers(t, "POST", "session", of, &got); got.String() != "manual 1111111111, now 1111111111" {
			t.Errorf("%s: %s", of, got)
		}
	}
	exported := p.admin(t, "GET", "export", "").Body
	if !strings.HasPrefix(exported, `{"shared":true,"anonymous_id":"one",`) {
		t.Error(exported)
	}
	if got := p.admin(t, "POST", "forget", `{"write_key":"wk3","anonymous_id":"one"}`).Body; got != "{\"forgotten\":1}\n" {
		t.Error(got)
	}
	if got := p.admin(t, "POST", "import", exported).Body; got != "{\"read\":1,\"written\":1}\n" {
		t.Error(got)
	}
	if got := p.echoes(t, `{"anonymousId":"one","event":"x"}`); !strings.Contains(got, "1111111111") {
		t.Error(got)
	}
	if got := p.admin(t, "POST", "import", strings.Replace(exported, `"shared":true`, `"shared":true,"write_key":"wk1"`, 1)); got.Status != http.StatusBadRequest {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// TestAdminMovesSessions exports from each store and imports into each other.
func TestAdminMovesSessions(t *testing.T) {
	redis := redistest.Start(t)
	stores := map[string]func(*testing.T) string{
		"memory": func(*testing.T) string { return "memory" },
		"file":   func(t *testing.T) string { return "file " + filepath.Join(t.TempDir(), "s.db") },
		"redis": func(t *testing.T) string {
			return "redis " + redis.URL() + " {\nprefix " + strconv.Itoa(int(time.Now().UnixNano())) + ":\n}"
		},
	}
	fill := func(t *testing.T, p *proxy) {
		t.Helper()
		for i := range 300 {
			p.Start(t, fmt.Sprint("user ", i), int64(1111111111+i))
			p.Post(t, "/v1/track", fmt.Sprintf(`{"anonymousId":"user %d","userId":"u%d","event":"x"}`, i, i))
			if i%3 == 0 {
				p.Post(t, "/v1/endSession", fmt.Sprintf(`{"anonymousId":"user %d"}`, i))
			}
		}
		p.Post(t, "/v1/startSession", `{"userId":"\u0000\ud800 odd"}`)
	}
	export := func(t *testing.T, p *proxy) []string {
		t.Helper()
		got := p.admin(t, "GET", "export", "")
		if got.Status != http.StatusOK || got.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Fatal(got.Status, got.Header, got.Body)
		}
		lines := strings.Split(strings.TrimSpace(got.Body), "\n")
		slices.Sort(lines)
		return lines
	}
	exported := map[string][]string{}
	for from, fromStore := range stores {
		for to, toStore := range stores {
			t.Run(from+" to "+to, func(t *testing.T) {
				if exported[from] == nil {
					t.Run("export", func(t *testing.T) {
						p := run(t, withAdmin(fromStore(t), "follow_user"))
						fill(t, p)
						exported[from] = export(t, p)
					})
				}
				all := exported[from]
				if len(all) != 601 {
					t.Fatalf("%d sessions", len(all))
				}
				p := run(t, withAdmin(toStore(t), "follow_user"))
				// A session that is there already is not written again.
				if got := p.admin(t, "POST", "import", all[300]); strings.TrimSpace(got.Body) != `{"read":1,"written":1}` {
					t.Fatal(got.Body)
				}
				if got := p.admin(t, "POST", "import", strings.Join(all, "\n")); strings.TrimSpace(got.Body) != `{"read":601,"written":600}` {
					t.Fatal(got.Body)
				}
				if got := export(t, p); !slices.Equal(got, all) {
					t.Errorf("%d came, another than went", len(got))
				}
				// A newer session is not replaced.
				p.Now = time.Now().Add(time.Hour)
				p.Start(t, "user 1", 2222222222)
				if got := p.admin(t, "POST", "import", strings.Join(all, "\n")); strings.TrimSpace(got.Body) != `{"read":601,"written":0}` {
					t.Error(got.Body)
				}
				if got := p.echoes(t, `{"anonymousId":"user 1","event":"x"}`); !strings.Contains(got, "2222222222") {
					t.Error(got)
				}
				for _, id := range []string{`"anonymousId":"user 2"`, `"userId":"u2"`} {
					if got := p.echoes(t, `{`+id+`,"event":"x"}`); !strings.Contains(got, "1111111113") {
						t.Error(got)
					}
				}
			})
		}
	}
}

// TestAdminRefuses: an invalid request is answered with the reason, and changes nothing.
func TestAdminRefuses(t *testing.T) {
	p := run(t, withAdmin("memory", "write_keys wk1"))
	p.Start(t, "one", 1111111111)
	before := p.admin(t, "GET", "export", "").Body
	record := strings.TrimSpace(before)
	replace := func(old, new string) string {
		t.Helper()
		changed := strings.Replace(record, old, new, 1)
		if changed == record {
			t.Fatalf("%s is not in %s", old, record)
		}
		return changed
	}
	withLinks := func(links string) string {
		t.Helper()
		return replace(`"segments":`, `"links":[`+links+`],"segments":`)
	}
	for _, c := range []struct {
		method, route, body string
		status              int
		says                string
	}{
		{"GET", "end", user1, 405, "only POST"},
		{"GET", "forget", user1, 405, "only POST"},
		{"GET", "import", record, 405, "only POST"},
		{"POST", "export", "", 405, "only GET"},
		{"POST", "tables", "", 405, "only GET"},
		{"POST", "decisions", "", 405, "only GET"},
		{"DELETE", "session", "", 405, "only POST"},
		{"GET", "export?table=file", "", 404, `"file"; there are: memory`},
		{"GET", "export?tabel=memory", "", 400, `unknown parameter "tabel"`},
		{"GET", "tables?x=1", "", 400, `unknown parameter "x"`},
		{"GET", "decisions?table=x", "", 404, "no such table"},
		{"GET", "export?table=memory&table=memory", "", 400, "table: stands twice"},
		{"POST", "session", ``, 400, "the body must be a JSON object"},
		{"POST", "session", `{"write_key":"wk1"}`, 400, "anonymous_id or user_id is required"},
		{"POST", "session", `{"anonymous_id":"one"}`, 400, "write_key is required"},
		{"POST", "session", `{"write_key":"wk1","anonymousId":"one"}`, 400, `unknown field "anonymousId"`},
		{"POST", "session", user1 + user1, 400, "one JSON object"},
		{"POST", "session", user1 + "}", 400, "one JSON object"},
		{"POST", "forget", user1 + "]", 400, "one JSON object"},
		{"POST", "end", `{"anonymous_id":"one"}`, 400, "write_key is required"},
		{"POST", "end", `{"write_key":"wk1","anonymous_id":"one","user_id":"one"}`, 400, "only one of them"},
		{"POST", "forget", `{}`, 400, "anonymous_id or user_id is required"},
		{"POST", "forget", `{"write_key":"wk1"}`, 400, "anonymous_id or user_id is required"},
		{"POST", "forget", `{"anonymous_id":" "}`, 400, "anonymous_id or user_id is required"},
		{"POST", "forget", `{"anonymous_id":"one","user_id":"one"}`, 400, "only one of them"},
		{"POST", "explain", `{"write_key":"wk1","endpoint":"nowhere","body":{}}`, 400, `endpoint: "nowhere"`},
		{"POST", "explain", `{"write_key":"wk2","endpoint":"track","body":{}}`, 400, "serves this write key"},
		{"POST", "explain", `{"endpoint":"track","body":{}}`, 400, "write_key is required"},
		{"POST", "explain", `{"write_key":"wk1","endpoint":"track","body":{},"body_base64":"e30="}`, 400, "only one of them"},
		{"POST", "explain", `{"write_key":"wk1","endpoint":"track","body_base64":"e30"}`, 400, "base64"},
		{"POST", "explain", `{"write_key":"wk1","endpoint":"track","body_base64":"eyJhIg=="}`, 400, "JSON object"},
		{"POST", "import", "{}", 400, "line 1: one of anonymous_id and user_id"},
		{"POST", "import", record + "\n[]", 400, "line 2: "},
		{"POST", "import", record + record, 400, "more than one JSON value"},
		{"POST", "import", record + "}", 400, "more than one JSON value"},
		{"POST", "import", strings.Repeat("x", 100_000), 400, "line 1: longer than 65536 bytes"},
		{"POST", "import", withLinks(`{"user_id":"u","from":2,"last":1}`), 400, "links[0]: ends before it begins"},
		{"POST", "import", withLinks(`{"user_id":"u","from":1,"last":1},{"user_id":"v","from":1,"last":1}`), 400, "links[1]: begins before"},
		{"POST", "import", withLinks(`{"from":1,"last":1}`), 400, "links[0]: one of anonymous_id and user_id"},
		{"POST", "import", withLinks(`{"anonymous_id":"a","from":1,"last":1}`), 400, "links[0]: a device is linked to a user_id"},
		{"POST", "import", withLinks(strings.Repeat(`{"user_id":"u","from":1,"last":1},`, 33) + `{"user_id":"u","from":1,"last":1}`), 400, "links: 34, more than 32"},
		{"POST", "import", replace(`"segments":`, `"sdk_sessions":[{"session_id":1,"from":2,"last":1}],"segments":`), 400, "sdk_sessions[0]: ends before"},
		{"POST", "import", replace(`"segments":`, `"timeout":-1,"segments":`), 400, "timeout, cutoff: less than 0"},
		{"POST", "import", replace(`"mode":"manual"`, `"mode":"auto"`), 400, `mode: "auto"`},
		{"POST", "import", replace(`"origin":"control"`, `"origin":"x"`), 400, `origin: "x"`},
		{"POST", "import", replace(`1111111111`, `12`), 400, "session id 12"},
		{"POST", "import", replace(`"version":`, `"version":0,"versio":`), 400, `unknown field "versio"`},
		{"POST", "import", regexp.MustCompile(`"version":\d+`).ReplaceAllString(record, `"version":0`), 400, "version: 0"},
		{"POST", "import", replace(`"write_key":"wk1"`, `"write_key_hex":"x"`), 400, "write_key_hex: not hexadecimal"},
		{"POST", "import", replace(`"anonymous_id":"one"`, `"anonymous_id_sha256":"00"`), 400, "anonymous_id_sha256: not 64"},
		{"POST", "import", replace(`"anonymous_id":"one"`, `"anonymous_id":"one","user_id":"u"`), 400, "one of anonymous_id and user_id"},
		{"POST", "import", replace(`"from":`, `"mark":"nonsense","from":`), 400, `mark: "nonsense"`},
	} {
		got := p.admin(t, c.method, c.route, c.body)
		var told struct{ Error string }
		if err := json.Unmarshal([]byte(got.Body), &told); err != nil {
			t.Errorf("%s %s %s: %v: %s", c.method, c.route, c.body, err, got.Body)
		}
		if got.Status != c.status || !strings.Contains(told.Error, c.says) {
			t.Errorf("%s %s %s: %d %s", c.method, c.route, c.body, got.Status, got.Body)
		}
	}
	if after := p.admin(t, "GET", "export", "").Body; after != before {
		t.Errorf("was %s\nis %s", before, after)
	}
}

func TestAdminStoreDown(t *testing.T) {
	f := newFaults(t)
	p := run(t, proxytest.Setup{Global: "admin 127.0.0.1:$PORT2\nrudder_session {\n" + f.option() + "\n}"})
	p.Start(t, "one", 1111111111)
	f.reads.Store(true)
	f.writes.Store(true)
	record := `{"write_key":"wk1","anonymous_id":"two","version":1,"seen":1,"segments":[]}`
	if got := p.admin(t, "POST", "import", record); got.Status != http.StatusServiceUnavailable || !strings.Contains(got.Body, "up to line 1 0 were written") {
		t.Errorf("import: %d %s", got.Status, got.Body)
	}
	for route, body := range map[string]string{
		"session": user1, "end": user1,
		"explain": `{"write_key":"wk1","endpoint":"track","body":{"anonymousId":"one","event":"x"}}`,
	} {
		if got := p.admin(t, "POST", route, body); got.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", route, got.Status, got.Body)
		}
	}
	f.reads.Store(false)
	f.writes.Store(false)
}

// TestAdminDecisions compares the explanation of an event with the decision that is made
// afterwards; explaining changes nothing.
func TestAdminDecisions(t *testing.T) {
	p := run(t, withAdmin("memory", "source wk1 {\nname shop\n}"))
	p.Start(t, "one", 1111111111)
	response, err := p.Client.Get(p.adminURL("decisions"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)

	batch := `{"batch":[` +
		`{"type":"track","event":"Bought","anonymousId":"one","messageId":"m1"},` +
		`{"type":"track","event":"Bought","anonymousId":"one","messageId":"m2","context":{"sessionId":7}},` +
		`{"type":"endSession","anonymousId":"one","messageId":"m3"},` +
		`{"type":"page","anonymousId":"one","messageId":"m4","context":{"sessionId":"x"}},` +
		`{"type":"page","userId":"nobody","messageId":"m5"},` +
		`{"type":"page"},{"type":"record","anonymousId":"one"},{"type":"page","anonymousId":"one","context":3}]}`
	want := []string{
		"consumed applied 0", // the startSession is before the watch
		"stamped manual_session 1111111111 start", "stamped manual_session 1111111111", "consumed applied 0 ended",
		"cleared session_ended 0", "untouched left_to_sdk 0", "untouched no_id 0", "untouched other_type 0", "untouched odd_context 0",
	}[1:]
	type decided struct {
		Action, Reason string
		SessionID      int64 `json:"session_id"`
		Start          bool  `json:"session_start"`
		Ended          bool
		Source         string
		Rules          []string
	}
	text := func(d decided) string {
		s := fmt.Sprintf("%s %s %d", d.Action, d.Reason, d.SessionID)
		if d.Start {
			s += " start"
		}
		if d.Ended {
			s += " ended"
		}
		if d.Source != "shop" {
			s += " of " + d.Source
		}
		return s
	}
	before := p.admin(t, "GET", "export", "").Body
	for range 2 {
		var explained []decided
		p.answers(t, "POST", "explain", fmt.Sprintf(`{"write_key":"wk1","endpoint":"batch","received":%d,"body":%s}`, p.Now.UnixMilli(), batch), &explained)
		var got []string
		for _, e := range explained {
			got = append(got, text(e))
			if len(e.Rules) < 2 {
				t.Errorf("%s: rules %q", text(e), e.Rules)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("explained %q", got)
		}
	}
	if after := p.admin(t, "GET", "export", "").Body; after != before {
		t.Errorf("explaining changed %s to %s", before, after)
	}
	p.Post(t, "/v1/batch", batch)
	for _, w := range want {
		var d decided
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		if text(d) != w {
			t.Errorf("watched %s, want %s", text(d), w)
		}
	}
	// A watcher is disconnected when the table is closed.
	if err := p.Load(t, withAdmin("file", "")); err != nil {
		t.Fatal(err)
	}
	if lines.Scan() {
		t.Errorf("came %s", lines.Text())
	}
}

// TestCommands runs the subcommands of the built Caddy.
func TestCommands(t *testing.T) {
	caddy, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := run(t, withAdmin("file", ""))
	p.Start(t, "one", 1111111111)
	dir := t.TempDir()
	file, body := filepath.Join(dir, "sessions"), filepath.Join(dir, "body")
	if err := os.WriteFile(body, []byte(`{"batch":[{"type":"track","anonymousId":"one","event":"a\u001b[31mb"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, input string
		fails       bool
		says        string // a pattern
	}{
		{"tables", "", false, `(?m)^TABLE .*\nfile +1 +1000000 `},
		{"tables --json", "", false, `^\[\{"table":"file","sessions":1,`},
		{"show --write-key wk1 --anonymous-id one", "", false, `^current session: 1111111111\n(?s:.*)manual +1111111111 +control`},
		{"show --write-key wk1 --anonymous-id two", "", false, `^nothing is known\n$`},
		{"show --write-key wk1", "", true, `anonymous_id or user_id is required`},
		{"show --table redis --write-key wk1 --anonymous-id one", "", true, `no such table: "redis"; there are: file`},
		{"export", "", false, `^\{"write_key":"wk1","anonymous_id":"one",.*\}\n$`},
		{"export -o " + file, "", false, `^$`},
		{"explain --write-key wk1 " + body, "", false, `^1\. .* stamped +manual_session +one  track "a.\[31mb"  1111111111, start\n   - Its session is that of the anonymousId "one"`},
		{"explain --write-key wk1 --endpoint track", `{"anonymousId":"one"}`, false, `stamped +manual_session`},
		{"explain --write-key wk1 --endpoint track --received 2001-01-01T00:00:00Z -", `{"anonymousId":"one"}`, false, `untouched left_to_sdk`},
		{"explain --write-key wk1 --received soon", `{}`, true, `--received: `},
		{"explain --write-key wk1", `{`, true, `the body must be`},
		{"end --write-key wk1 --anonymous-id one", "", false, `^ended\n$`},
		{"end --write-key wk1 --anonymous-id one", "", false, `^there was no session\n$`},
		{"forget --anonymous-id one", "", false, `^forgot 1\n$`},
		{"forget", "", true, `anonymous_id or user_id is required`},
		{"import " + file, "", false, `^read 1, wrote 1; `},
		{"import", "nonsense", true, `line 1: `},
		{"import " + file + "2", "", true, `no such file`},
		{"show --write-key wk1 --anonymous-id one", "", false, `^current session: 1111111111\n`},
		{"tables --address 127.0.0.1:1", "", true, `is Caddy running\?`},
		{"", "", false, `(?s)^\nLooks into, and manages, the sessions .*\n  watch `},
		{"export -o " + dir, "", true, `file exists`},
		{"sessions", "", true, `unknown command "sessions"`},
		{"tables file", "", true, `unexpected "file"`},
		{"export " + file, "", true, `unexpected "` + file},
		{"forget --anonymous-id one two", "", true, `unexpected "two"`},
		{"import " + file + " " + file, "", true, `unexpected "` + file},
		{"explain --write-key wk1", strings.Repeat(" ", 8<<20+1), true, `the body is larger than 8388608 bytes`},
	} {
		args := append([]string{"rudder-session"}, strings.Fields(c.args)...)
		if !strings.Contains(c.args, "--address") {
			args = append(args, "--address", p.adminAddress())
		}
		cmd := exec.Command(caddy, args...)
		cmd.Stdin = strings.NewReader(c.input)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		said := stdout.String()
		if c.fails {
			said = stderr.String()
		}
		if (err != nil) != c.fails || !regexp.MustCompile(c.says).MatchString(said) {
			t.Errorf("%s: %v\n%s%s", c.args, err, &stdout, &stderr)
		}
		if strings.Contains(said, "\x1b") {
			t.Errorf("%s: a control character of somebody else's, or colours, where there is no terminal: %q", c.args, said)
		}
	}
	if parts, err := filepath.Glob(dir + "*.part"); err != nil || len(parts) > 0 {
		t.Errorf("left are %v, %v", parts, err)
	}
}

func TestWatchCommand(t *testing.T) {
	caddy, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := run(t, withAdmin("memory", ""))
	cmd := exec.Command(caddy, "rudder-session", "watch", "--address", p.adminAddress(), "--anonymous-id", "one")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
		io.Copy(io.Discard, out)
	}()
	// Decisions made before the command watches are not shown.
	for {
		p.Start(t, "two", 2222222222)
		p.Start(t, "one", 1111111111)
		select {
		case line := <-lines:
			if !regexp.MustCompile(`^[\d:.]+ consumed  applied           one  startSession  1111111111, begins it`).MatchString(line) {
				t.Errorf("shown: %s", line)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
