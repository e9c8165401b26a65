package integration_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestSourceConfigStreams: an answer that is not a source config is streamed.
func TestSourceConfigStreams(t *testing.T) {
	for _, c := range []struct{ name, path, contentType, first, options string }{
		{"events", "/sourceConfig", "text/event-stream", "data: 1\n\n", ""},
		{"another path", "/other", "application/json", `{"a":`, ""},
		{"too large", "/sourceConfig", "application/json", `{"source":` + strings.Repeat(" ", 200), "max_body 100B"},
	} {
		t.Run(c.name, func(t *testing.T) {
			goOn := make(chan struct{})
			p := behindSourceConfig(t, c.options, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", c.contentType)
				io.WriteString(w, c.first)
				w.(http.Flusher).Flush()
				select {
				case <-goOn:
				case <-r.Context().Done():
				}
				io.WriteString(w, "the rest")
			})
			response, err := p.Client.Get(p.URL(c.path))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			first := make([]byte, len(c.first))
			if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != c.first {
				t.Fatalf("%q, %v", first, err)
			}
			close(goOn)
			if rest, err := io.ReadAll(response.Body); err != nil || string(rest) != "the rest" {
				t.Errorf("then %q, %v", rest, err)
			}
		})
	}
}

// TestSourceConfigBroken: a client cannot take an answer that breaks off for a complete
// one.
func TestSourceConfigBroken(t *testing.T) {
	p := behindSourceConfig(t, "", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, withDataPlanes)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	r, err := http.NewRequest(http.MethodGet, p.URL("/sourceConfig"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := proxytest.Exchange(p.Client, r); err == nil && got.Status == http.StatusOK {
		t.Errorf("%d %q", got.Status, got.Body)
	}
}

// TestSourceConfigCompressed: Caddy's own compression may come before the handler or
// after it.
func TestSourceConfigCompressed(t *testing.T) {
	long := strings.Replace(withDataPlanes, `"x":`, `"long":"`+strings.Repeat("abc", 1000)+`","x":`, 1)
	want := strings.Replace(withoutThem, `"x":`, `"long":"`+strings.Repeat("abc", 1000)+`","x":`, 1)
	s := sourceConfigSetup(t, "", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"v1"` {
			answering(304, "", "Etag", `"v1"`)(w, r)
			return
		}
		answering(200, long, "Etag", `"v1"`)(w, r)
	})
	for _, site := range []string{
		"encode\n" + s.Site,
		"route {\nencode\n" + s.Site[strings.Index(s.Site, "rudder_session_source_config"):] + "\n}",
	} {
		s.Site = site
		p := run(t, s)
		header := http.Header{"Accept-Encoding": {"gzip"}}
		got := p.Send(t, proxytest.Request{Method: "GET", Path: "/sourceConfig", Header: header})
		if got.Header.Get("Content-Encoding") != "gzip" || unzipText(t, got.Body) != want {
			t.Errorf("%v %q", got.Header, got.Body)
		}
		header["If-None-Match"] = got.Header["Etag"]
		if again := p.Send(t, proxytest.Request{Method: "GET", Path: "/sourceConfig", Header: header}); again.Status != http.StatusNotModified {
			t.Errorf("%v: %d %q", header, again.Status, again.Body)
		}
	}
}

// TestSourceConfigWarns: once a minute for each kind of answer, without ids.
func TestSourceConfigWarns(t *testing.T) {
	kinds := map[string]http.HandlerFunc{
		"status": answering(401, "no"), "json": answering(200, "secret"), "page": answering(200, "", "Content-Type", "", "Content-Type", "text/html"),
		"br": answering(200, "x", "Content-Encoding", "br"), "large": answering(200, strings.Repeat("x", 200)),
		"fine": answering(200, withDataPlanes), "same": answering(304, ""),
	}
	s := sourceConfigSetup(t, "max_body 150B", func(w http.ResponseWriter, r *http.Request) { kinds[r.URL.Query().Get("kind")](w, r) })
	path := filepath.Join(t.TempDir(), "log")
	s.Global = "metrics\nlog source_configs {\noutput file " + path + "\ninclude http.handlers.rudder_session_source_config\n}"
	p := run(t, s)
	for range 5 {
		for kind := range kinds {
			p.Send(t, proxytest.Request{Method: "GET", Path: "/sourceConfig?writeKey=KEY&kind=" + kind, WriteKey: "KEY"})
		}
	}
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]int{}
	for line := range strings.Lines(string(log)) {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Level != "warn" {
			t.Errorf("%s: %v", line, err)
		}
		said[entry.Msg]++
	}
	if len(said) != 5 || slices.Max(slices.Collect(maps.Values(said))) != 1 {
		t.Errorf("said %v", said)
	}
	for _, secret := range []string{"KEY", "S0VZOg", "secret", "sourceConfig?"} {
		if strings.Contains(string(log), secret) {
			t.Errorf("%s is in the log: %s", secret, log)
		}
	}
}
