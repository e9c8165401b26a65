package integration_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/freeport"
	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string { return fmt.Sprint("127.0.0.1:", freeport.Claim(t)) }

// hangsUp is the address of a data plane that reads requests and closes the
// connection without an answer.
func hangsUp(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// Wait until the sender has begun to write.
			io.ReadFull(c, make([]byte, 100))
			c.Close()
		}
	}()
	return l.Addr().String()
}

// TestBodyAfterErrors: if the data plane is down, another one gets the body from the
// error routes, changed or as it came.
func TestBodyAfterErrors(t *testing.T) {
	zipped := proxytest.Zip(t, proxytest.Event("in", "m1"))
	f := newFaults(t)
	for name, c := range map[string]struct {
		body   string
		header http.Header
		option string
		chunks bool
		down   bool // the store
		stamps bool
	}{
		"changed":            {body: proxytest.Event("in", "m1"), stamps: true},
		"changed, chunked":   {body: proxytest.Event("in", "m1"), stamps: true, chunks: true},
		"changed, gzip":      {body: zipped, header: http.Header{"Content-Encoding": {"gzip"}}, stamps: true},
		"unchanged":          {body: proxytest.Event("out", "m1")},
		"unchanged, chunked": {body: proxytest.Event("out", "m1"), chunks: true},
		"no JSON":            {body: "no JSON"},
		"no gzip":            {body: "no gzip", header: http.Header{"Content-Encoding": {"gzip"}}},
		"another encoding":   {body: "br", header: http.Header{"Content-Encoding": {"br"}}},
		"too large":          {body: strings.Repeat("x", 2000), option: "max_body 1000"},
		"too large, chunked": {body: strings.Repeat("x", 2000), option: "max_body 1000", chunks: true},
		"store down":         {body: proxytest.Event("new", "m1"), down: true},
	} {
		for kind, first := range map[string]string{"down": closedPort(t), "hangs up": hangsUp(t)} {
			for options, block := range map[string]string{"plain": "", "buffered": "{\nrequest_buffers 1MB\nlb_retries 2\nlb_try_interval 1ms\nlb_retry_match {\nmethod POST\n}\n}"} {
				if strings.HasPrefix(name, "too large") && (kind == "hangs up" || options == "buffered") {
					continue // a streamed body is consumed, as in Caddy alone
				}
				t.Run(name+"/"+kind+"/"+options, func(t *testing.T) {
					p := run(t, proxytest.Setup{
						Global:  "rudder_session {\n" + f.option() + "\n}",
						Session: c.option,
						Site:    "rudder_session {\n$SESSION\n}\nreverse_proxy " + first + " " + block + "\nhandle_errors {\nreverse_proxy $UPSTREAM\n}",
					})
					p.Post(t, "/v1/startSession", fmt.Sprintf(`{"anonymousId":"in","sessionId":%d}`, id1))
					f.reads.Store(c.down)
					defer f.reads.Store(false)
					out, err := http.NewRequest(http.MethodPost, p.URL("/v1/track"), strings.NewReader(c.body))
					if err != nil {
						t.Fatal(err)
					}
					for k, v := range c.header {
						out.Header[k] = v
					}
					out.SetBasicAuth("wk1", "")
					if c.chunks {
						out.ContentLength, out.Body = -1, io.NopCloser(strings.NewReader(c.body))
					}
					if got, err := proxytest.Exchange(p.Client, out); err != nil || got.Status != http.StatusOK {
						t.Fatalf("answered %v, %v", got, err)
					}
					a := p.Plane.Take()
					if len(a) != 1 {
						t.Fatalf("%d requests arrived", len(a))
					}
					if c.stamps {
						if m := proxytest.Messages(t, a[0]); m[0].Session() != "1234567890!" {
							t.Errorf("session %q", m[0].Session())
						}
						return
					}
					if string(a[0].Body) != c.body || a[0].Err != nil {
						t.Errorf("%q arrived, %v", a[0].Body, a[0].Err)
					}
				})
			}
		}
	}
}

// TestErrorsThatRefuse: the client's answer decides whether the start mark is free again,
// whether it comes from the data plane or from Caddy.
func TestErrorsThatRefuse(t *testing.T) {
	answers := func(block string) string {
		return "rudder_session\nreverse_proxy $UPSTREAM {\n@bad status 500\nhandle_response @bad {\n" + block + "\n}\n}"
	}
	behind := func(directive string) string {
		return "route {\nrudder_session\n@first header X-First 1\n" + directive + "\nreverse_proxy $UPSTREAM\n}"
	}
	down := closedPort(t)
	for name, c := range map[string]struct {
		site string
		free bool
	}{
		"an answer 400":                     {answers("respond 400"), true},
		"an error 422":                      {answers("error 422"), true},
		"an error 408":                      {answers("error 408"), false},
		"an error 429":                      {answers("error 429"), false},
		"an error 503":                      {answers("error 503"), false},
		"request_body":                      {behind("request_body @first {\nmax_size 10\n}"), true},
		"basic_auth":                        {behind("request_header @first -Authorization\nbasic_auth @first {\nu $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n}"), true},
		"error 403 behind":                  {behind("error @first 403"), true},
		"error 500 behind":                  {behind("error @first 500"), false},
		"an error 422, handled 400":         {answers("error 422") + "\nhandle_errors {\nrespond 400\n}", true},
		"an error 422, handled elsewhere":   {answers("error 422") + "\nhandle_errors {\nreverse_proxy http://127.0.0.1:$PORT2\n}", false},
		"down, and elsewhere it is refused": {behind("reverse_proxy @first "+down) + "\nhandle_errors {\nreverse_proxy http://127.0.0.1:$PORT2 {\nheader_up X-Refuse 1\n}\n}", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, proxytest.Setup{Site: c.site, More: "http://:$PORT2 {\n@refuse header X-Refuse 1\nrespond @refuse 400\nrespond 200\n}"})
			p.Start(t, "a1", id1)
			p.Plane.Reply(http.StatusInternalServerError, "no")
			p.Send(t, proxytest.Request{Path: "/v1/track", WriteKey: "wk1", Body: proxytest.Event("a1", "m1"), Header: http.Header{"X-First": {"1"}}})
			proxytest.Serving.Wait(0)
			p.Plane.Reply(http.StatusOK, "ok")
			p.Plane.Take()
			// The mark may be freed only after the answer was sent.
			n, marked := 1, false
			next := func() bool {
				n++
				p.Post(t, "/v1/track", proxytest.Event("a1", fmt.Sprint("m", n)))
				marked = proxytest.Messages(t, p.Plane.Take()...)[0].Session() == "1234567890!"
				return marked
			}
			if !c.free {
				if next() {
					t.Error("another event has the mark")
				}
				return
			}
			redistest.Await(t, "another event to have the mark", next)
		})
	}
}
