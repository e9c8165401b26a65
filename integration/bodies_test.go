package integration_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

const id1 = 1234567890

// dial opens a connection to the site, for requests that no client library sends.
func (p *proxy) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.Port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// head is the head of a request under the write key wk1, without the empty
// line at its end.
func head(path string, lines ...string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Basic d2sxOg==\r\n" + strings.Join(lines, "\r\n") + "\r\n"
}

// TestExpectContinue sends the body only when the proxy asks for it.
func TestExpectContinue(t *testing.T) {
	for _, anonymousID := range []string{"in a session", "in none"} {
		for _, read := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, read %v", anonymousID, read), func(t *testing.T) {
				p := run(t, proxytest.Setup{More: "http://:$PORT2 {\n\ttest_clock\n\trudder_session {\n\t\tmax_body 10\n\t}\n\treverse_proxy $UPSTREAM\n}"})
				p.Start(t, "in a session", id1)
				if !read {
					p.Port, p.Port2 = p.Port2, p.Port
				}
				body := proxytest.Event(anonymousID, "m1")
				c := p.dial(t)
				io.WriteString(c, head("/v1/track", "Expect: 100-continue", fmt.Sprintf("Content-Length: %d\r\n", len(body))))
				r := bufio.NewReader(c)
				response, err := http.ReadResponse(r, nil)
				if err != nil || response.StatusCode != http.StatusContinue {
					t.Fatal(response, err)
				}
				io.WriteString(c, body)
				// If the handler does not read the body, the data plane's own 100 follows.
				for err == nil && response.StatusCode == http.StatusContinue {
					response, err = http.ReadResponse(r, nil)
				}
				if err != nil || response.StatusCode != http.StatusOK {
					t.Fatal(response, err)
				}
				a := p.Plane.Take()
				if len(a) != 1 {
					t.Fatalf("%d requests arrived", len(a))
				}
				// The handler has answered the expectation by reading the body.
				if read && a[0].Header.Get("Expect") != "" {
					t.Errorf("the data plane is asked for %q again", a[0].Header.Get("Expect"))
				}
				want := ""
				if anonymousID == "in a session" && read {
					want = "1234567890!"
				}
				if got := proxytest.Messages(t, a[0])[0].Session(); got != want {
					t.Errorf("session %q, want %q", got, want)
				}
			})
		}
	}
}

func TestTrailersSurvive(t *testing.T) {
	p := run(t, proxytest.Setup{})
	p.Start(t, "a1", id1)
	for anonymousID, want := range map[string]string{"a1": "1234567890!", "a2": ""} {
		body := proxytest.Event(anonymousID, "m1")
		r, err := http.NewRequest(http.MethodPost, p.URL("/v1/track"), io.NopCloser(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("wk1", "")
		r.Trailer = http.Header{"X-Sum": {"s"}}
		if got, err := proxytest.Exchange(p.Client, r); err != nil || got.Status != http.StatusOK {
			t.Fatal(got, err)
		}
		a := p.Plane.Take()
		if len(a) != 1 || a[0].Trailer.Get("X-Sum") != "s" {
			t.Fatalf("%s: trailer %v", anonymousID, a[0].Trailer)
		}
		if got := proxytest.Messages(t, a[0])[0].Session(); got != want {
			t.Errorf("%s: session %q, want %q", anonymousID, got, want)
		}
	}
}

// TestAbort closes connections in the middle of bodies: no part of these may reach the
// data plane or change a session.
func TestAbort(t *testing.T) {
	half := func(body string) string { return body[:len(body)/2] }
	e := proxytest.Event("a1", "m1")
	zipped := proxytest.Zip(t, `{"batch":[{"type":"endSession","anonymousId":"a1"}]}`)
	for name, text := range map[string]string{
		"event":            head("/v1/track", fmt.Sprintf("Content-Length: %d\r\n", len(e))) + half(e),
		"whole but a byte": head("/v1/track", fmt.Sprintf("Content-Length: %d\r\n", len(e)+1)) + e,
		"chunked":          head("/v1/track", "Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n%s\r\n", len(e), e),
		"gzip":             head("/v1/batch", "Content-Encoding: gzip", fmt.Sprintf("Content-Length: %d\r\n", len(zipped)+1)) + zipped,
		"control":          head("/v1/endSession", "Content-Length: 100\r\n") + `{"anonymousId":"a1"}`,
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, proxytest.Setup{})
			p.Start(t, "a1", id1)
			proxytest.Serving.Reset()
			c := p.dial(t)
			io.WriteString(c, text)
			c.Close()
			proxytest.Serving.Wait(1)
			if a := p.Plane.Take(); len(a) > 0 {
				t.Errorf("arrived: %q", a[0].Body)
			}
			p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
			p.Expect(t, "1234567890!")
		})
	}
	t.Run("h2", func(t *testing.T) {
		p := run(t, proxytest.Setup{Global: "servers {\n\tprotocols h1 h2 h2c\n}"})
		p.Start(t, "a1", id1)
		proxytest.Serving.Reset()
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: protocols}
		defer transport.CloseIdleConnections()
		r, _ := http.NewRequest(http.MethodPost, p.URL("/v1/track"), io.MultiReader(strings.NewReader(e), brokenReader{}))
		r.SetBasicAuth("wk1", "")
		if got, err := proxytest.Exchange(&http.Client{Transport: transport}, r); err == nil {
			t.Errorf("answered %v", got)
		}
		proxytest.Serving.Wait(1)
		if a := p.Plane.Take(); len(a) > 0 {
			t.Errorf("arrived: %q", a[0].Body)
		}
		p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
		p.Expect(t, "1234567890!")
	})
}

// TestClientGone: a client that does not wait for the answer will send the event again.
// The data plane has not refused it, so the event keeps the start mark.
func TestClientGone(t *testing.T) {
	p := run(t, proxytest.Setup{})
	p.Start(t, "a1", id1)
	proxytest.Serving.Reset()
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan struct{})
	p.Plane.ReplyWith(func(*proxytest.Arrival) (int, string) {
		cancel()
		<-answer
		return http.StatusOK, "ok"
	})
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, p.URL("/v1/track"), strings.NewReader(proxytest.Event("a1", "m1")))
	r.SetBasicAuth("wk1", "")
	if got, err := proxytest.Exchange(p.Client, r); err == nil {
		t.Errorf("answered %v", got)
	}
	close(answer)
	proxytest.Serving.Wait(1)
	p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	p.Expect(t, "1234567890!", "1234567890", "1234567890!")
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

// TestGzip sends compressed bodies, valid and damaged ones.
func TestGzip(t *testing.T) {
	e := proxytest.Event("a1", "m1")
	zipped := proxytest.Zip(t, e)
	huge := proxytest.Zip(t, `{"anonymousId":"a1","messageId":"m1","s":"`+strings.Repeat("0", 1<<20)+`"}`)
	for name, c := range map[string]struct {
		body string
		read bool
	}{
		"two members":      {proxytest.Zip(t, e[:20]) + proxytest.Zip(t, e[20:]), true},
		"an empty member":  {zipped + proxytest.Zip(t, ""), true},
		"bomb":             {huge, false},
		"garbage behind":   {zipped + "x", false},
		"zeros behind":     {zipped + strings.Repeat("\x00", 10), false},
		"truncated":        {zipped[:len(zipped)-1], false},
		"wrong checksum":   {zipped[:len(zipped)-8] + "\x00\x00\x00\x00" + zipped[len(zipped)-4:], false},
		"no gzip":          {e, false},
		"gzip of gzip":     {proxytest.Zip(t, zipped), false},
		"gzip of nothing":  {proxytest.Zip(t, ""), false},
		"only gzip's head": {zipped[:10], false},
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, proxytest.Setup{Session: "max_body 10000"})
			p.Start(t, "a1", id1)
			p.Send(t, proxytest.Request{Path: "/v1/track", WriteKey: "wk1", Body: c.body, Header: http.Header{"Content-Encoding": {"gzip"}}})
			a := p.Plane.Take()
			if len(a) != 1 {
				t.Fatalf("%d requests arrived", len(a))
			}
			if c.read {
				if got := proxytest.Messages(t, a[0])[0].Session(); got != "1234567890!" {
					t.Errorf("session %q", got)
				}
				return
			}
			if string(a[0].Body) != c.body || a[0].Header.Get("Content-Encoding") != "gzip" || a[0].ContentLength != int64(len(c.body)) {
				t.Errorf("%d bytes arrived, of %d", len(a[0].Body), len(c.body))
			}
			p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
			p.Expect(t, "1234567890!")
		})
	}
}

// TestMaxBody sends batches around the limit. An event that must not be changed
// must not have the start mark either.
func TestMaxBody(t *testing.T) {
	const limit = 1000
	batch := func(context string, size int) string {
		body := `{"batch":[{"type":"track","anonymousId":"a1","messageId":"m1","context":` + context + `,"p":"`
		return body + strings.Repeat("x", size-len(body)-4) + `"}]}`
	}
	full := `{"sessionId":1000000000,"sessionStart":true}`
	grows := len(`"sessionId":1234567890,"sessionStart":true`)
	for name, c := range map[string]struct {
		body  string
		zip   bool
		fixed bool // it is forwarded unchanged
	}{
		"at the limit":                      {body: batch(full, limit)},
		"at the limit, compressed":          {body: batch(full, limit), zip: true},
		"one over":                          {body: batch(full, limit+1), fixed: true},
		"one over, compressed":              {body: batch(full, limit+1), zip: true, fixed: true},
		"grows to the limit":                {body: batch(`{}`, limit-grows)},
		"grows to one over":                 {body: batch(`{}`, limit-grows+1), fixed: true},
		"grows to one over, compressed":     {body: batch(`{}`, limit-grows+1), zip: true, fixed: true},
		"does not grow, though at the edge": {body: batch(`{"sessionId":10000000001234,"sessionStart":false}`, limit)},
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, proxytest.Setup{Session: fmt.Sprintf("max_body %d", limit)})
			p.Start(t, "a1", id1)
			r := proxytest.Request{Path: "/v1/batch", WriteKey: "wk1", Body: c.body}
			if c.zip {
				r.Body, r.Header = proxytest.Zip(t, c.body), http.Header{"Content-Encoding": {"gzip"}}
			}
			p.Send(t, r)
			a := p.Plane.Take()
			if len(a) != 1 {
				t.Fatalf("%d requests arrived", len(a))
			}
			p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
			if c.fixed {
				if string(a[0].Body) != r.Body {
					t.Errorf("changed: %q", a[0].Body)
				}
				p.Expect(t, "1234567890!")
				return
			}
			if m := proxytest.Messages(t, a[0]); m[0].Session() != "1234567890!" || len(proxytest.Unzip(t, a[0])) > limit {
				t.Errorf("session %q in %d bytes", m[0].Session(), len(a[0].Body))
			}
			p.Expect(t, "1234567890")
		})
	}
}

// TestOddBytes: invalid UTF-8, and numbers that Go cannot represent, stay as they are.
func TestOddBytes(t *testing.T) {
	p := run(t, proxytest.Setup{})
	p.Start(t, "a1", id1)
	const before = "\t{\"p\":\"\xff\xc3\x28\\ud800\",\"anonymousId\":\"a1\",\"messageId\":\"\xfe\",\"n\":[-0,1e-7,1E+2,123456789012345678901234567890,0.10],\"n\":{},\"\":\"\u2028/\\/\",\"context\":{\"sessionId\":%s,\"sessionStart\":true,\"\xff\":1}}\r\n "
	p.Post(t, "/v1/page", fmt.Sprintf(before, "\"\xff\""))
	a := p.Plane.Take()
	if want := fmt.Sprintf(before, "1234567890"); len(a) != 1 || string(a[0].Body) != want {
		t.Errorf("arrived:\n%q, want\n%q", a[0].Body, want)
	}
}

// TestDigests: the digest of a changed body is removed because it would be wrong; that
// of an unchanged one is kept.
func TestDigests(t *testing.T) {
	p := run(t, proxytest.Setup{})
	p.Start(t, "a1", id1)
	header := http.Header{"Content-Digest": {"sha-256=:x:"}, "Repr-Digest": {"sha-256=:x:"}, "Digest": {"x"}, "Content-Md5": {"x"}}
	for _, anonymousID := range []string{"a1", "a2"} {
		p.Send(t, proxytest.Request{Path: "/v1/track", WriteKey: "wk1", Body: proxytest.Event(anonymousID, "m1"), Header: header})
		a := p.Plane.Take()[0]
		for name := range header {
			if got, want := a.Header.Get(name) == "", anonymousID == "a1"; got != want {
				t.Errorf("%s: %s is %q", anonymousID, name, a.Header.Get(name))
			}
		}
	}
}

// TestLargeBodyStreams sends the end of a body that is over the limit only after its
// beginning has reached the data plane.
func TestLargeBodyStreams(t *testing.T) {
	begun := make(chan struct{})
	const first, rest = 2000, "the end"
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadFull(r.Body, make([]byte, first)); err != nil {
			t.Error(err)
		}
		close(begun)
		if end, err := io.ReadAll(r.Body); err != nil || string(end) != rest {
			t.Errorf("%q %v", end, err)
		}
	}))
	defer upstream.Close()
	p := run(t, proxytest.Setup{Site: "rudder_session {\n\tmax_body 1000\n}\nreverse_proxy " + upstream.Listener.Addr().String()})
	in, out := io.Pipe()
	go func() {
		io.WriteString(out, strings.Repeat("x", first))
		<-begun
		io.WriteString(out, rest)
		out.Close()
	}()
	r, _ := http.NewRequest(http.MethodPost, p.URL("/v1/batch"), in)
	r.SetBasicAuth("wk1", "")
	if got, err := proxytest.Exchange(p.Client, r); err != nil || got.Status != http.StatusOK {
		t.Fatal(got, err)
	}
}
