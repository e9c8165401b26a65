package ruddersession_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// sessionCase is a worked example of the rules: successive requests to a handler with an
// empty table.
type sessionCase struct {
	Name, Rule, Config string
	Steps              []caseStep

	file string
	// suffix is what distinguishes the write keys of this case from those of others.
	suffix string
}

type caseStep struct {
	Send struct {
		Method   string // POST if it is empty
		Path     string
		WriteKey *string
		Body     json.RawMessage // sent as compact JSON
		Raw      *string         // sent as it is
		Gzip     bool
		Headers  map[string]string
	}
	UpstreamStatus int
	Status         int
	Response       json.RawMessage
	Upstream       []struct {
		Path string
		Body json.RawMessage // equal as JSON; or "unchanged", "any"
		Raw  *string         // equal as bytes
	}
}

// TestCases runs every case of testdata/cases, on every store.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("cases: %v %v", files, err)
	}
	redis := redistest.Start(t)
	var cases []sessionCase
	for _, file := range files {
		cases = append(cases, readCases(t, file)...)
	}
	// Cases with the same configuration that do not name write keys share a Caddy: each
	// has its own write keys, and sessions belong to a write key.
	configs := map[string][]*sessionCase{}
	for i := range cases {
		c := &cases[i]
		config := c.Config
		if c.alone() {
			config = fmt.Sprint("alone ", i)
		} else {
			c.suffix = fmt.Sprint("-", i)
		}
		configs[config] = append(configs[config], c)
	}
	for store, option := range map[string]func(n int) string{
		"memory": func(int) string { return "store memory" },
		"file":   func(int) string { return "store file" },
		"redis": func(n int) string {
			return fmt.Sprintf("store redis %s {\nprefix case-%d:\ntimeout 10s\n}", redis.URL(), n)
		},
		"redis strict": func(n int) string {
			return fmt.Sprintf("store redis %s {\nprefix strict-%d:\nconsistency strict\ntimeout 10s\n}", redis.URL(), n)
		},
	} {
		t.Run(store, func(t *testing.T) {
			n := 0
			for _, config := range slices.Sorted(maps.Keys(configs)) {
				n++
				cases := configs[config]
				t.Run(fmt.Sprint("configuration ", n), func(t *testing.T) {
					p := &proxy{Proxy: proxytest.Run(t, proxytest.Setup{
						Global: "rudder_session {\n" + option(n) + "\n}", Session: cases[0].Config,
					})}
					for _, c := range cases {
						t.Run(c.file+"/"+c.Name, func(t *testing.T) { c.run(t, p) })
					}
				})
			}
		})
	}
}

// alone reports whether a case needs its own Caddy: its configuration or a request names
// a write key, or concerns all of them.
func (c *sessionCase) alone() bool {
	for _, word := range []string{"wk", "share_sessions"} {
		if strings.Contains(c.Config, word) {
			return true
		}
	}
	return slices.ContainsFunc(c.Steps, func(s caseStep) bool {
		return s.Send.WriteKey == nil || *s.Send.WriteKey == "" || strings.Contains(s.Send.Path, "writeKey") || s.Send.Headers["Authorization"] != ""
	})
}

func readCases(t *testing.T, file string) (cases []sessionCase) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&cases); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for i := range cases {
		cases[i].file = filepath.Base(file)
	}
	return cases
}

// run sends the requests of a case.
func (c *sessionCase) run(t *testing.T, p *proxy) {
	t.Helper()
	p.Now = time.Now().Truncate(time.Millisecond)
	p.Plane.Take() // from an earlier case that failed
	ids := placeholders{}
	for i := range c.Steps {
		if !p.runStep(t, &c.Steps[i], ids, c.suffix) {
			t.Fatalf("step %d (rule %s)", i+1, c.Rule)
		}
	}
}

// proxy is a running Caddy in front of a data plane, to which cases are sent.
type proxy struct{ *proxytest.Proxy }

func (p *proxy) runStep(t *testing.T, s *caseStep, ids placeholders, suffix string) bool {
	t.Helper()
	now := p.Now
	r := proxytest.Request{Method: s.Send.Method, Path: s.Send.Path, Header: http.Header{}, Received: now}
	p.Now = now.Add(time.Millisecond)
	if s.Send.WriteKey != nil {
		r.WriteKey = *s.Send.WriteKey + suffix
	}
	for name, value := range s.Send.Headers {
		r.Header.Set(name, value)
	}
	switch {
	case s.Send.Raw != nil:
		r.Body = proxytest.Fill(*s.Send.Raw, now)
	case s.Send.Body != nil:
		r.Body = proxytest.Compact(t, proxytest.Fill(string(s.Send.Body), now))
	}
	if s.Send.Gzip {
		r.Body = proxytest.Zip(t, r.Body)
		r.Header.Set("Content-Encoding", "gzip")
	}
	p.Plane.Reply(http.StatusOK, "ok")
	if s.UpstreamStatus != 0 {
		p.Plane.Reply(s.UpstreamStatus, "refused\n")
	}
	got := p.Send(t, r)
	arrivals := p.Plane.Take()

	if got.Status != s.Status {
		t.Errorf("status %d (%s), want %d", got.Status, got.Body, s.Status)
	}
	if s.UpstreamStatus != 0 && got.Body != "refused\n" {
		t.Errorf("the data plane's answer came as %q", got.Body)
	}
	if s.Response != nil {
		ids.compareResponse(t, got.Body, s.Response)
	}
	if s.Upstream == nil {
		return !t.Failed()
	}
	if len(arrivals) != len(s.Upstream) {
		t.Errorf("%d requests reached the data plane, want %d", len(arrivals), len(s.Upstream))
		for _, a := range arrivals {
			t.Logf("%s %s", a.URI, a.Body)
		}
		return false
	}
	for i, want := range s.Upstream {
		a := arrivals[i]
		if a.URI != want.Path || a.Err != nil {
			t.Errorf("upstream %s (%v), want %s", a.URI, a.Err, want.Path)
		}
		switch {
		case want.Raw != nil && *want.Raw != "unchanged":
			if text := proxytest.Fill(*want.Raw, now); string(a.Body) != text {
				t.Errorf("upstream\n%q, want\n%q", a.Body, text)
			}
		case want.Raw != nil, string(want.Body) == `"unchanged"`:
			if string(a.Body) != r.Body || a.Header.Get("Content-Encoding") != r.Header.Get("Content-Encoding") {
				t.Errorf("upstream\n%q, sent\n%q", a.Body, r.Body)
			}
		case string(want.Body) != `"any"`:
			ids.compare(t, "upstream", proxytest.DecodeJSON(t, proxytest.Fill(string(want.Body), now)), proxytest.DecodeJSON(t, proxytest.Unzip(t, a)))
		}
	}
	return !t.Failed()
}

// placeholders has the session ids for $s1, $s2 … in a case.
type placeholders map[string]string

// bind reports whether a placeholder can stand for a number, and from then on it does.
func (p placeholders) bind(name string, id json.Number) bool {
	if known, ok := p[name]; ok {
		return known == id.String()
	}
	for _, other := range p {
		if other == id.String() {
			return false
		}
	}
	p[name] = id.String()
	return proxytest.GeneratedID.MatchString(id.String())
}

func (p placeholders) compareResponse(t *testing.T, got string, want json.RawMessage) {
	t.Helper()
	var text string
	if json.Unmarshal(want, &text) == nil {
		if got != text {
			t.Errorf("response %q, want %q", got, text)
		}
		return
	}
	p.compare(t, "response", proxytest.DecodeJSON(t, string(want)), proxytest.DecodeJSON(t, got))
}

// compare compares two JSON values.
func (p placeholders) compare(t *testing.T, at string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			break
		}
		for key := range got {
			if _, ok := want[key]; !ok {
				t.Errorf("%s.%s is %v, should not be", at, key, got[key])
			}
		}
		for key, value := range want {
			if _, ok := got[key]; !ok {
				t.Errorf("%s.%s is missing", at, key)
				continue
			}
			p.compare(t, at+"."+key, value, got[key])
		}
		return
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			break
		}
		for i := range want {
			p.compare(t, fmt.Sprintf("%s[%d]", at, i), want[i], got[i])
		}
		return
	case string:
		if id, ok := got.(json.Number); ok && strings.HasPrefix(want, "$s") {
			if p.bind(want, id) {
				return
			}
			t.Errorf("%s is %v, want %s of %v", at, id, want, p)
			return
		}
		if want == got {
			return
		}
	default:
		if want == got {
			return
		}
	}
	t.Errorf("%s is %v, want %v", at, got, want)
}
