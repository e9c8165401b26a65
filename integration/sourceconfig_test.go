package integration_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// withDataPlanes is a source config with data planes, withoutThem the expected result.
const (
	withDataPlanes = `{"source":{"id":"s","dataplanes":{"US":[{"url":"https://us.example","default":true}]},"config":{"dataplanes":1}},"x":"ü"}`
	withoutThem    = `{"source":{"id":"s","config":{"dataplanes":1}},"x":"ü"}`
)

// behindSourceConfig runs a site with the handler in front of a control plane, and with
// the control plane alone at /plain/.
func behindSourceConfig(t *testing.T, options string, controlPlane http.HandlerFunc) *proxy {
	t.Helper()
	return run(t, sourceConfigSetup(t, options, controlPlane))
}

func sourceConfigSetup(t *testing.T, options string, controlPlane http.HandlerFunc) proxytest.Setup {
	t.Helper()
	server := httptest.NewServer(controlPlane)
	t.Cleanup(server.Close)
	return proxytest.Setup{
		Global: "metrics",
		Site: fmt.Sprintf(`handle /metrics {
		metrics
	}
	handle_path /plain/* {
		reverse_proxy %[1]s
	}
	rudder_session_source_config {
		%[2]s
	}
	handle {
		reverse_proxy %[1]s
	}`, server.Listener.Addr(), options),
	}
}

// answering makes a control plane that always gives the same answer.
func answering(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		for i := 0; i < len(header); i += 2 {
			if header[i+1] == "" {
				w.Header()[header[i]] = nil
				continue
			}
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			io.WriteString(w, body)
		}
	}
}

// TestSourceConfigChanged: the rewritten source config and its header.
func TestSourceConfigChanged(t *testing.T) {
	const replaced = `{"source":{"id":"s","dataplanes":{"US":[{"url":"https://p.example/rs","default":true}]},"config":{"dataplanes":1}},"x":"ü"}`
	for _, c := range []struct {
		name, options, path string
		controlPlane        http.HandlerFunc
		request             http.Header
		body                string
		header              map[string]string // "" is none
		counted             string
	}{
		{name: "removed", path: "/sourceConfig?p=web&v=1", controlPlane: answering(200, withDataPlanes), body: withoutThem,
			header: map[string]string{"Content-Length": strconv.Itoa(len(withoutThem)), "Content-Encoding": "", "Vary": "", "Etag": ""}, counted: "changed removed"},
		{name: "with a slash", path: "/sourceConfig/?p=web", controlPlane: answering(200, withDataPlanes), body: withoutThem, counted: "changed removed"},
		{name: "with more slashes", path: "//sourceConfig//", controlPlane: answering(200, withDataPlanes), body: withoutThem, counted: "changed removed"},
		{name: "path with an escape", path: "/source%43onfig", controlPlane: answering(200, withDataPlanes), body: withoutThem, counted: "changed removed"},
		{name: "replaced", options: "data_plane https://p.example/rs", path: "/sourceConfig", controlPlane: answering(200, withDataPlanes), body: replaced,
			header: map[string]string{"Content-Length": strconv.Itoa(len(replaced))}, counted: "changed replaced"},
		{name: "gzip", path: "/sourceConfig", controlPlane: answering(200, proxytest.Zip(t, withDataPlanes), "Content-Encoding", "gzip"),
			request: http.Header{"Accept-Encoding": {"br, gzip"}}, body: withoutThem,
			header: map[string]string{"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}, counted: "changed removed"},
		{name: "gzip that nobody asked for", path: "/sourceConfig", controlPlane: answering(200, proxytest.Zip(t, withDataPlanes), "Content-Encoding", "GZIP", "Vary", "Origin"),
			body: withoutThem, header: map[string]string{"Content-Encoding": "GZIP", "Vary": "Origin, Accept-Encoding"}, counted: "changed removed"},
		{name: "header", path: "/sourceConfig", controlPlane: answering(200, withDataPlanes, "Etag", `W/"a,b"`, "Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT",
			"Cache-Control", "public, max-age=60, no-transform", "Vary", "Origin", "Accept-Ranges", "bytes", "Digest", "sha-256=x", "Content-Digest", "sha-256=:x:",
			"Repr-Digest", "sha-256=:x:", "Content-MD5", "x", "Access-Control-Allow-Origin", "*", "X-Other", "1"), body: withoutThem,
			header: map[string]string{"Etag": `W/"a,b` + mark + `"`, "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT", "Cache-Control": "public, max-age=60, no-transform",
				"Vary": "Origin", "Accept-Ranges": "", "Digest": "", "Content-Digest": "", "Repr-Digest": "", "Content-Md5": "",
				"Access-Control-Allow-Origin": "*", "X-Other": "1"}, counted: "changed removed"},
		{name: "no data planes", path: "/sourceConfig", controlPlane: answering(200, withoutThem, "Etag", `"a"`, "Digest", "sha-256=x"), body: withoutThem,
			header: map[string]string{"Etag": `"a` + mark + `"`, "Digest": "sha-256=x"}, counted: "unchanged no_data_planes"},
		{name: "no entity tag", path: "/sourceConfig", controlPlane: answering(200, withDataPlanes, "Etag", `abc`), body: withoutThem,
			header: map[string]string{"Etag": ""}, counted: "changed removed"},
		{name: "byte order mark", path: "/sourceConfig", controlPlane: answering(200, "\ufeff"+withDataPlanes), body: "\ufeff" + withoutThem, counted: "changed removed"},
		{name: "text", path: "/sourceConfig", controlPlane: answering(200, withDataPlanes, "Content-Type", ""), body: withoutThem, counted: "changed removed"},
		{name: "octets", path: "/sourceConfig", controlPlane: answering(200, withDataPlanes, "Content-Type", "", "Content-Type", "application/octet-stream"), body: withoutThem, counted: "changed removed"},
		{name: "in pieces", path: "/sourceConfig", controlPlane: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Content-Digest")
			for _, b := range []byte(withDataPlanes) {
				w.Write([]byte{b})
				w.(http.Flusher).Flush()
			}
			w.Header().Set("Content-Digest", "sha-256=:x:")
		}, body: withoutThem, header: map[string]string{"Content-Digest": "", "Trailer": "", "Content-Length": strconv.Itoa(len(withoutThem))}, counted: "changed removed"},
		{name: "as large as it may be", options: "max_body " + strconv.Itoa(len(withDataPlanes)) + "B", path: "/sourceConfig",
			controlPlane: answering(200, withDataPlanes), body: withoutThem, counted: "changed removed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := behindSourceConfig(t, c.options, c.controlPlane)
			before := p.counters(t)
			got := p.Send(t, proxytest.Request{Method: "GET", Path: c.path, Header: c.request})
			body := got.Body
			if got.Header.Get("Content-Encoding") != "" {
				body = unzipText(t, body)
			}
			if got.Status != http.StatusOK || body != c.body {
				t.Errorf("%d %q, want %q", got.Status, body, c.body)
			}
			if length := got.Header.Get("Content-Length"); length != strconv.Itoa(len(got.Body)) {
				t.Errorf("Content-Length %s of %d bytes", length, len(got.Body))
			}
			for name, want := range c.header {
				if value := strings.Join(got.Header[name], ", "); value != want {
					t.Errorf("%s: %q, want %q", name, value, want)
				}
			}
			outcome, reason, _ := strings.Cut(c.counted, " ")
			if want := []string{fmt.Sprintf(`source_configs{outcome=%q,reason=%q} +1`, outcome, reason)}; !slices.Equal(p.counters(t).more(before), want) {
				t.Errorf("counted %v, want %v", p.counters(t).more(before), want)
			}
		})
	}
}

// mark is the suffix of entity tags of bodies whose data planes were removed.
const mark = "-rs0beb1114"

func unzipText(t *testing.T, body string) string {
	t.Helper()
	return proxytest.Unzip(t, &proxytest.Arrival{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: []byte(body)})
}

// TestSourceConfigUntouched: an answer that is not a readable source config reaches the
// client as without the handler.
func TestSourceConfigUntouched(t *testing.T) {
	for _, c := range []struct {
		name, method, path, options string
		request                     http.Header
		controlPlane                http.HandlerFunc
		reason                      string // "" is not counted
	}{
		{name: "another path", path: "/sourceConfigs", controlPlane: answering(200, withDataPlanes, "Etag", `"a"`)},
		{name: "below it", path: "/sourceConfig/x", controlPlane: answering(200, withDataPlanes)},
		{name: "another case", path: "/sourceconfig", controlPlane: answering(200, withDataPlanes)},
		{name: "HEAD", method: "HEAD", path: "/sourceConfig", request: http.Header{"If-None-Match": {`"b"`}, "Range": {"bytes=0-1"}},
			controlPlane: answering(200, "", "Content-Length", "999", "Etag", `"a"`, "Accept-Ranges", "bytes")},
		{name: "OPTIONS", method: "OPTIONS", path: "/sourceConfig", request: http.Header{"Origin": {"https://x"}, "Access-Control-Request-Headers": {"authorization"}},
			controlPlane: answering(204, "", "Access-Control-Allow-Headers", "authorization")},
		{name: "POST", method: "POST", path: "/sourceConfig", controlPlane: answering(200, withDataPlanes)},
		{name: "not modified, though nobody asked", path: "/sourceConfig", controlPlane: answering(304, "", "Etag", `"a"`), reason: "not_modified"},
		{name: "unauthorized", path: "/sourceConfig", controlPlane: answering(401, withDataPlanes, "Etag", `"a"`), reason: "status"},
		{name: "moved", path: "/sourceConfig", controlPlane: answering(307, "", "Location", "/x"), reason: "status"},
		{name: "server error", path: "/sourceConfig", controlPlane: answering(503, `{"source":{"dataplanes":1}}`, "Retry-After", "1"), reason: "status"},
		{name: "a part", path: "/sourceConfig", controlPlane: answering(206, `{"source":{"dataplanes":1}}`, "Content-Range", "bytes 0-26/100"), reason: "status"},
		{name: "a page", path: "/sourceConfig", controlPlane: answering(200, withDataPlanes, "Content-Type", "", "Content-Type", "text/html"), reason: "content_type"},
		{name: "no JSON", path: "/sourceConfig", controlPlane: answering(200, withDataPlanes+"}", "Etag", `"a"`, "Digest", "sha-256=x", "Accept-Ranges", "bytes"), reason: "not_json"},
		{name: "no object", path: "/sourceConfig", controlPlane: answering(200, "["+withDataPlanes+"]"), reason: "not_json"},
		{name: "empty", path: "/sourceConfig", controlPlane: answering(200, ""), reason: "not_json"},
		{name: "brotli", path: "/sourceConfig", controlPlane: answering(200, "\x0b\x02\x80{}\x03", "Content-Encoding", "br"), reason: "encoding"},
		{name: "gzip twice", path: "/sourceConfig", controlPlane: answering(200, proxytest.Zip(t, proxytest.Zip(t, withDataPlanes)), "Content-Encoding", "gzip, gzip"), reason: "encoding"},
		{name: "broken gzip", path: "/sourceConfig", controlPlane: answering(200, proxytest.Zip(t, withDataPlanes)[:40], "Content-Encoding", "gzip"), reason: "encoding"},
		{name: "too large, as it says", path: "/sourceConfig", options: "max_body 100B", controlPlane: answering(200, withDataPlanes, "Content-Length", strconv.Itoa(len(withDataPlanes))), reason: "too_large"},
		{name: "too large", path: "/sourceConfig", options: "max_body 100B", controlPlane: func(w http.ResponseWriter, _ *http.Request) {
			for _, b := range []byte(withDataPlanes) {
				w.Write([]byte{b})
				w.(http.Flusher).Flush()
			}
		}, reason: "too_large"},
		{name: "too large, unzipped", path: "/sourceConfig", options: "max_body 1KiB", reason: "too_large",
			controlPlane: answering(200, proxytest.Zip(t, `{"source":{"dataplanes":1,"x":"`+strings.Repeat("x", 2000)+`"}}`), "Content-Encoding", "gzip")},
		{name: "not to be held up", path: "/sourceConfig", controlPlane: answering(200, withDataPlanes, "Incremental", "?1"), reason: "streaming"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := behindSourceConfig(t, c.options, c.controlPlane)
			method := c.method
			if method == "" {
				method = "GET"
			}
			// Without it, Go's transport decompresses the answer.
			header := http.Header{"Accept-Encoding": {"gzip"}}
			maps.Copy(header, c.request)
			before := p.counters(t)
			got := p.Send(t, proxytest.Request{Method: method, Path: c.path, Header: header})
			counted := p.counters(t).more(before)
			want := p.Send(t, proxytest.Request{Method: method, Path: "/plain" + c.path, Header: header})
			for _, h := range []http.Header{got.Header, want.Header} {
				h.Del("Date")
			}
			if got.Status != want.Status || got.Body != want.Body || !reflect.DeepEqual(got.Header, want.Header) {
				t.Errorf("got %d %v %q\nwant %d %v %q", got.Status, got.Header, got.Body, want.Status, want.Header, want.Body)
			}
			var wantCounted []string
			if c.reason != "" {
				wantCounted = []string{fmt.Sprintf(`source_configs{outcome="passed",reason=%q} +1`, c.reason)}
			}
			if !slices.Equal(counted, wantCounted) {
				t.Errorf("counted %v, want %v", counted, wantCounted)
			}
		})
	}
}

// TestSourceConfigAsked: the requests that reach the control plane.
func TestSourceConfigAsked(t *testing.T) {
	asked := make(chan *http.Request, 1)
	p := behindSourceConfig(t, "", func(w http.ResponseWriter, r *http.Request) { asked <- r })
	for _, c := range []struct{ accept, want string }{
		{"", "identity"}, {"gzip", "gzip"}, {"br, zstd", "identity"}, {"br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip"}, {"gzip;q=0, *", "identity"},
		{"*", "gzip"}, {"*;q=0", "identity"}, {"GZIP ; Q=0.0", "identity"}, {"x-gzip", "gzip"},
	} {
		header := http.Header{
			"Authorization": {"Basic d2s6"}, "Range": {"bytes=0-9"}, "If-Range": {`"a"`}, "If-None-Match": {`"a"`},
			"If-Modified-Since": {"Wed, 21 Oct 2026 07:28:00 GMT"}, "X-Other": {"1"},
		}
		if c.accept != "" {
			header["Accept-Encoding"] = []string{c.accept}
		}
		p.Send(t, proxytest.Request{Method: "GET", Path: "/sourceConfig/?p=web&writeKey=a%20b", Header: header})
		r := <-asked
		if got := r.Header["Accept-Encoding"]; !slices.Equal(got, []string{c.want}) {
			t.Errorf("of %q %q were asked, want %q", c.accept, got, c.want)
		}
		for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since"} {
			if r.Header[name] != nil {
				t.Errorf("%s: %s", name, r.Header[name])
			}
		}
		if r.RequestURI != "/sourceConfig/?p=web&writeKey=a%20b" || r.Header.Get("Authorization") != "Basic d2s6" || r.Header.Get("X-Other") != "1" {
			t.Errorf("asked %s with %v", r.RequestURI, r.Header)
		}
	}
}

// TestSourceConfigRevalidated: a conditional request gets a 304 only if the client has
// the rewritten body.
func TestSourceConfigRevalidated(t *testing.T) {
	// A control plane that handles conditional requests: its config has a modification
	// time and an entity tag, weak or strong.
	var current atomic.Value
	current.Store(`"v1"`)
	controlPlane := func(w http.ResponseWriter, r *http.Request) {
		tag := current.Load().(string)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
		w.Header().Set("Etag", tag)
		matches := r.Header.Get("If-None-Match")
		opaque := strings.TrimPrefix(tag, "W/")
		if matches == "*" || strings.Contains(matches, opaque) || matches == "" && r.Header.Get("If-Modified-Since") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusPartialContent)
		}
		io.WriteString(w, withDataPlanes)
	}
	s := sourceConfigSetup(t, "", controlPlane)
	p := run(t, s)
	get := func(header ...string) proxytest.Reply {
		t.Helper()
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Add(header[i], header[i+1])
		}
		return p.Send(t, proxytest.Request{Method: "GET", Path: "/sourceConfig", Header: h})
	}
	full := func(what string, got proxytest.Reply) {
		t.Helper()
		if got.Status != http.StatusOK || got.Body != withoutThem {
			t.Errorf("%s: %d %q", what, got.Status, got.Body)
		}
	}
	for _, tag := range []string{`"v1"`, `W/"v1"`, `""`, `"a, b"`} {
		current.Store(tag)
		first := get()
		full("first", first)
		marked := first.Header.Get("Etag")
		for _, header := range [][]string{
			{"If-None-Match", marked},
			{"If-None-Match", strings.TrimPrefix(marked, "W/")},
			{"If-None-Match", `"x" , ` + marked + `,W/"y"`},
			{"If-None-Match", `"x"`, "If-None-Match", marked},
			{"If-None-Match", marked, "If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"},
			{"If-None-Match", marked, "Range", "bytes=0-1"},
		} {
			if got := get(header...); got.Status != http.StatusNotModified || got.Body != "" || got.Header.Get("Etag") != marked {
				t.Errorf("%s, %v: %d %q with %s", tag, header, got.Status, got.Body, got.Header["Etag"])
			}
		}
		// Clients that have the control plane's own body, with its tag or date.
		for _, header := range [][]string{
			{"If-None-Match", tag}, {"If-None-Match", "W/" + strings.TrimPrefix(tag, "W/")}, {"If-None-Match", "*"}, {"If-None-Match", `"x", ` + tag},
			{"If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"}, {"If-None-Match", tag, "If-Modified-Since", "Wed, 21 Oct 2026 07:28:00 GMT"},
			{"If-None-Match", `"v1-rs00000000"`}, {"If-None-Match", "nonsense"}, {"If-None-Match", `"open`},
			{"Range", "bytes=0-20"}, {"Range", "bytes=0-20", "If-Range", tag},
		} {
			full(fmt.Sprintf("%s, %v", tag, header), get(header...))
		}
	}
	// With other options the body is different.
	current.Store(`"v1"`)
	marked := get().Header.Get("Etag")
	s.Site = strings.Replace(s.Site, "rudder_session_source_config {", "rudder_session_source_config {\ndata_plane https://p.example", 1)
	if err := p.Load(t, s); err != nil {
		t.Fatal(err)
	}
	got := get("If-None-Match", marked)
	if got.Status != http.StatusOK || !strings.Contains(got.Body, "https://p.example") || got.Header.Get("Etag") == marked {
		t.Errorf("with another data_plane: %d %q with %s", got.Status, got.Body, got.Header["Etag"])
	}
}
