package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
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
	p.Plane.ReplyWith(proxytest.Echo)
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
