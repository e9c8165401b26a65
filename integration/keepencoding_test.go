package integration_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestKeepEncoding: a changed body that arrived compressed is compressed again; all
// others are forwarded as without the option.
func TestKeepEncoding(t *testing.T) {
	batch := `{"batch":[` + strings.Repeat(proxytest.Event("a1", "m1")+",", 50) + proxytest.Event("a1", "m2") + `]}`
	single := proxytest.Event("a1", "m3")
	for _, c := range []struct {
		name, session, path, body string
		zipped, changed, keeps    bool
	}{
		{"batch, gzip", "keep_encoding", "/v1/batch", batch, true, true, true},
		{"event, gzip", "keep_encoding", "/v1/track", single, true, true, true},
		{"event, plain", "keep_encoding", "/v1/track", single, false, true, false},
		{"unchanged, gzip", "keep_encoding", "/v1/batch", strings.ReplaceAll(batch, "a1", "a2"), true, false, false},
		{"unchanged, plain", "keep_encoding", "/v1/track", proxytest.Event("a2", "m3"), false, false, false},
		{"without the option", "", "/v1/batch", batch, true, true, false},
		{"not JSON", "keep_encoding", "/v1/batch", batch + "}", true, false, false},
		{"one value without end", "keep_encoding", "/v1/track", `{"anonymousId":"a1","x":"` + strings.Repeat("é\\u0000", 100_000) + `","type":"track"}`, true, true, true},
	} {
		for _, retries := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				s := proxytest.Setup{Session: c.session}
				if retries {
					s.Site = strings.Replace(proxytest.Directives, "$UPSTREAM", "$UPSTREAM {\nrequest_buffers 4MiB\nlb_retries 3\nlb_retry_match {\nmethod POST\n}\n}", 1)
				}
				p := run(t, s)
				p.Start(t, "a1", 1234567890)
				var tries atomic.Int32
				p.Plane.ReplyWith(func(*proxytest.Arrival) (int, string) {
					if n := tries.Add(1); retries && n < 3 {
						return proxytest.HangUp, ""
					}
					return http.StatusOK, "ok"
				})
				p.Plane.Take()
				body := c.body
				header := http.Header{"Content-Digest": {"sha-256=:x:"}, "Content-Type": {"application/x-www-form-urlencoded"}}
				if c.zipped {
					body = proxytest.Zip(t, c.body)
					header.Set("Content-Encoding", "gzip")
				}
				if got := p.Send(t, proxytest.Request{Path: c.path, WriteKey: "wk1", Header: header, Body: body}); got.Status != http.StatusOK {
					t.Fatal(got)
				}
				arrived := p.Plane.Take()
				a := arrived[len(arrived)-1]
				if a.Err != nil || a.ContentLength != int64(len(a.Body)) || a.Header.Get("Content-Length") != strconv.Itoa(len(a.Body)) {
					t.Fatalf("%v: Content-Length %d and %s of %d bytes", a.Err, a.ContentLength, a.Header.Get("Content-Length"), len(a.Body))
				}
				if (a.Header.Get("Content-Digest") == "") != c.changed {
					t.Errorf("Content-Digest %q", a.Header["Content-Digest"])
				}
				if !c.changed {
					if string(a.Body) != body || a.Header.Get("Content-Encoding") != header.Get("Content-Encoding") {
						t.Errorf("%d bytes arrived, %q, of %d", len(a.Body), a.Header["Content-Encoding"], len(body))
					}
					return
				}
				if keeps := a.Header.Get("Content-Encoding") == "gzip"; keeps != c.keeps {
					t.Fatalf("Content-Encoding %q", a.Header["Content-Encoding"])
				}
				if c.keeps && len(a.Body) > len(body)+len(body)/5+40 {
					t.Errorf("%d bytes arrived, %d came", len(a.Body), len(body))
				}
				if got := proxytest.Unzip(t, a); strings.Count(got, `"sessionId":1234567890`) != strings.Count(c.body, `"a1"`) ||
					strings.NewReplacer(`"sessionId":1234567890,"sessionStart":true,`, "", `"sessionId":1234567890,`, "", `"context":{"sessionId":1234567890,"sessionStart":true},`, "").Replace(got) != c.body {
					t.Errorf("arrived: %.300s", got)
				}
			})
		}
	}
}
