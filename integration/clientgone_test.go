package integration_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

func init() {
	caddy.RegisterModule((*testGone)(nil))
	httpcaddyfile.RegisterHandlerDirective("test_gone", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(testGone), nil
	})
	httpcaddyfile.RegisterDirectiveOrder("test_gone", httpcaddyfile.After, "tracing")
}

// testGone is a middleware in front of the handler. It holds back the end of a body until
// the server has noticed that the client is gone, which is the worst case.
type testGone struct{}

func (*testGone) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_gone", New: func() caddy.Module { return new(testGone) }}
}

// stays is a header of requests whose client stays.
const stays = "X-Test-Stays"

func (*testGone) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if r.Body != nil && r.Header.Get(stays) == "" {
		r.Body = goneAtEnd{r.Body, r.Context().Done()}
	}
	r.Header.Del(stays)
	return next.ServeHTTP(w, r)
}

type goneAtEnd struct {
	io.ReadCloser
	gone <-chan struct{}
}

func (b goneAtEnd) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		atEnd.Change(1)
		<-b.gone
	}
	return n, err
}

// atEnd counts the bodies that have been read completely, and whose end is held back
// until the client is gone.
var atEnd = func() *proxytest.Counter { c := new(proxytest.Counter); c.Cond.L = &c.Mu; return c }()

// leave sends a whole request over HTTP/1.1, and then closes the connection in one of
// several ways.
func (p *proxy) leave(t *testing.T, way, path, body string) {
	t.Helper()
	read := atEnd.Count()
	c := p.dial(t)
	line := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	if way == "stays" {
		line = stays + ": 1\r\n" + line
	}
	io.WriteString(c, head(path, "Connection: close\r\n"+line)+body)
	switch way {
	case "closes":
		c.Close()
	case "resets":
		atEnd.WaitBegun(read + 1) // otherwise data that has not been read is lost
		c.SetLinger(0)
		c.Close()
	case "half-closes":
		c.CloseWrite()
		fallthrough
	case "stays":
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("%s: answered %v, %v", way, response, err)
		}
	}
}

var ways = []string{"closes", "resets", "half-closes", "stays"}

// proxied are ways to forward requests.
var proxied = map[string]string{
	"plain":    "reverse_proxy $UPSTREAM",
	"buffered": "reverse_proxy $UPSTREAM {\nrequest_buffers 1MB\nlb_retries 3\nlb_retry_match {\nmethod POST\n}\n}",
}

// TestWholeRequestsAreCarriedOut: when a client disconnects after it has sent its whole
// request, the request is carried out: an event arrives in its session and with the
// mark, and a control call has its effect.
func TestWholeRequestsAreCarriedOut(t *testing.T) {
	for name, behind := range proxied {
		for _, way := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				p := run(t, proxytest.Setup{Site: "test_gone\nrudder_session\n" + behind})
				const clients = 20
				proxytest.Serving.Reset()
				for i := range clients {
					p.leave(t, way, "/v1/startSession", fmt.Sprintf(`{"anonymousId":"a%d","sessionId":%d}`, i, id1))
				}
				proxytest.Serving.Wait(clients)
				for i := range clients {
					p.leave(t, way, "/v1/track", proxytest.Event(fmt.Sprint("a", i), "m1"))
				}
				proxytest.Serving.Wait(2 * clients)
				got := proxytest.Messages(t, p.Plane.Take()...)
				if len(got) != clients {
					t.Errorf("%d of %d events arrived", len(got), clients)
				}
				for _, m := range got {
					if m.Session() != "1234567890!" {
						t.Errorf("session %q", m.Session())
					}
				}
			})
		}
	}
}

// TestStreamsThatAreReset: the same over HTTP/2 and HTTP/3, where a client disconnects by
// resetting its stream.
func TestStreamsThatAreReset(t *testing.T) {
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	cert, key := selfSigned(t)
	for name, behind := range proxied {
		t.Run(name, func(t *testing.T) {
			p := run(t, proxytest.Setup{
				Global: "servers {\n\tprotocols h1 h2 h2c h3\n}",
				Site:   "test_gone\nrudder_session\n" + behind,
				More:   fmt.Sprintf("https://localhost:$PORT2 {\n\ttest_clock\n\ttest_gone\n\ttls %s %s\n\trudder_session\n\t%s\n}", cert, key, behind),
			})
			for i, c := range p.clients(t) {
				anonymousID := fmt.Sprint("a", i)
				for _, r := range []proxytest.Request{
					{Path: "/v1/startSession", Body: fmt.Sprintf(`{"anonymousId":%q,"sessionId":%d}`, anonymousID, id1)},
					{Path: "/v1/track", Body: proxytest.Event(anonymousID, "m1")},
				} {
					p.abandon(t, c, r)
				}
				p.Expect(t, "1234567890!")
			}
		})
	}
}

// abandon sends a whole request, and cancels it when its body has been read.
func (p *proxy) abandon(t *testing.T, c namedClient, r proxytest.Request) {
	t.Helper()
	proxytest.Serving.Reset()
	out, err := http.NewRequest(http.MethodPost, c.url+r.Path, strings.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out = out.WithContext(ctx)
	out.SetBasicAuth("wk1", "")
	read := atEnd.Count()
	go func() {
		atEnd.WaitBegun(read + 1)
		cancel()
	}()
	if got, err := proxytest.Exchange(c.Client, out); err == nil {
		t.Errorf("%s: answered %v", c.name, got)
	}
	proxytest.Serving.Wait(1)
}

// TestAbandonedRequestsEnd: the request of a client that is gone is cancelled after
// finish_timeout, here and at the data plane, and not before; a client that stays may
// wait longer.
func TestAbandonedRequestsEnd(t *testing.T) {
	begun, ended := make(chan string, 2), make(chan struct{})
	plane := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		begun <- string(body)
		if strings.Contains(string(body), "gone") {
			<-r.Context().Done() // the connection is closed
			close(ended)
		}
		<-ended
	}))
	defer plane.Close()
	p := run(t, proxytest.Setup{Site: "rudder_session {\nfinish_timeout 200ms\n}\nreverse_proxy " + plane.Listener.Addr().String()})
	stayed := make(chan proxytest.Reply)
	go func() {
		stayed <- p.Post(t, "/v1/track", proxytest.Event("stays", "m1"))
	}()
	<-begun
	c, body := p.dial(t), proxytest.Event("gone", "m1")
	io.WriteString(c, head("/v1/track", fmt.Sprintf("Content-Length: %d\r\n", len(body)))+body)
	<-begun
	c.Close()
	<-ended
	if got := <-stayed; got.Status != http.StatusOK {
		t.Errorf("who stayed is answered %d", got.Status)
	}
	proxytest.Serving.Wait(2)
}

// TestRefusalThatNobodyHears: the data plane refuses the events of a client that is gone,
// so that the answer cannot be written.
func TestRefusalThatNobodyHears(t *testing.T) {
	for _, way := range []string{"closes", "resets"} {
		t.Run(way, func(t *testing.T) {
			p := run(t, proxytest.Setup{Site: "test_gone\nrudder_session\nreverse_proxy $UPSTREAM"})
			proxytest.Serving.Reset()
			p.leave(t, "stays", "/v1/startSession", fmt.Sprintf(`{"anonymousId":"a1","sessionId":%d}`, id1))
			p.Plane.Reply(http.StatusBadRequest, strings.Repeat("no ", 1<<20))
			p.leave(t, way, "/v1/track", proxytest.Event("a1", "m1"))
			proxytest.Serving.Wait(2)
			p.Plane.Reply(http.StatusOK, "ok")
			p.leave(t, "stays", "/v1/track", proxytest.Event("a1", "m2"))
			p.Expect(t, "1234567890!", "1234567890!")
		})
	}
}

// TestGoneWhileItIsTried: the data plane is down when the client disconnects, and comes
// back while the request is retried.
func TestGoneWhileItIsTried(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tried := make(chan struct{})
	go func() {
		defer l.Close()
		for range 2 {
			if c, err := l.Accept(); err == nil {
				c.Close() // without an answer
			}
		}
		close(tried)
	}()
	p := run(t, proxytest.Setup{Site: "test_gone\nrudder_session\nreverse_proxy " + l.Addr().String() + " $UPSTREAM {\n" +
		"lb_policy first\nlb_try_duration 30s\nlb_try_interval 10ms\nfail_duration 30s\nmax_fails 2\nrequest_buffers 1MB\nlb_retry_match {\nmethod POST\n}\n}"})
	proxytest.Serving.Reset()
	p.leave(t, "closes", "/v1/track", proxytest.Event("a1", "m1"))
	proxytest.Serving.Wait(1)
	<-tried
	p.Expect(t, "")
}
