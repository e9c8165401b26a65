package ruddersession_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/rudder-session/rudder-session"
	_ "github.com/rudder-session/rudder-session/caddymodule/stores/redis"
)

func init() {
	caddy.RegisterModule((*testClock)(nil))
	httpcaddyfile.RegisterHandlerDirective("test_clock", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(testClock), nil
	})
	httpcaddyfile.RegisterDirectiveOrder("test_clock", httpcaddyfile.Before, "tracing")
}

// receivedAt is a request header: when the request is to be taken to have
// arrived, in Unix milliseconds.
const receivedAt = "X-Test-Received-At"

// testClock stands before everything else in a site. It says when a request
// arrived, and counts the requests that are being served.
type testClock struct{}

func (*testClock) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_clock", New: func() caddy.Module { return new(testClock) }}
}

func (*testClock) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	serving.change(1)
	defer serving.change(-1)
	if ms, err := strconv.ParseInt(r.Header.Get(receivedAt), 10, 64); err == nil {
		caddyhttp.SetVar(r.Context(), "start_time", time.UnixMilli(ms))
	}
	r.Header.Del(receivedAt)
	return next.ServeHTTP(w, r)
}

// serving counts requests. A client has its answer before the handler has
// returned, and what a handler still holds would outlive Caddy's stop.
var serving = func() *counter { c := new(counter); c.cond.L = &c.mu; return c }()

type counter struct {
	mu           sync.Mutex
	cond         sync.Cond
	begun, going int
}

func (c *counter) change(by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.going += by
	c.begun += max(by, 0)
	c.cond.Broadcast()
}

// reset begins to count requests anew.
func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = 0
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
}

// wait returns when so many requests have been begun since reset, and none is
// being served.
func (c *counter) wait(begun int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.begun < begun || c.going > 0 {
		c.cond.Wait()
	}
}

// waitBegun returns when so many requests have been begun since reset.
func (c *counter) waitBegun(begun int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.begun < begun {
		c.cond.Wait()
	}
}

// setup is a Caddy configuration in pieces.
type setup struct {
	global  string // global options
	session string // what stands in the block of rudder_session
	// site is what the site has, instead of rudder_session and reverse_proxy.
	// $UPSTREAM is the data plane's address; $PORT, $PORT2 are free ones, the
	// first of them the site's.
	site string
	// before and more stand before and behind the site.
	before, more string
}

const directives = "rudder_session {\n$SESSION\n}\nreverse_proxy $UPSTREAM"

func (s setup) text(storage, upstream string, port, port2 int) string {
	site := s.site
	if site == "" {
		site = directives
	}
	text := fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	default_bind 127.0.0.1
	grace_period 1s
	storage file_system %q
	storage_check off
	storage_clean_interval off
	log {
		output discard
	}
	%s
}
%s
http://:$PORT {
	test_clock
	%s
}
%s
`, storage, s.global, s.before, site, s.more)
	return strings.NewReplacer("$SESSION", s.session, "$UPSTREAM", upstream,
		"$PORT2", strconv.Itoa(port2), "$PORT", strconv.Itoa(port)).Replace(text)
}

// proxy is a running Caddy before a data plane.
type proxy struct {
	plane       *dataPlane
	storage     string
	port, port2 int
	client      *http.Client
	reloaded    bool
	// now is when the next request arrives. Each is a millisecond after the
	// one before.
	now time.Time
}

// run starts Caddy, with an empty table, and stops it when the test is over.
func run(t *testing.T, s setup) *proxy {
	t.Helper()
	p := &proxy{plane: newDataPlane(t), storage: t.TempDir(), now: time.Now().Truncate(time.Millisecond)}
	t.Setenv("XDG_DATA_HOME", p.storage) // where the default store has its file
	transport := &http.Transport{DisableCompression: true}
	p.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	serving.reset()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		serving.wait(0)
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	// A port that was free may be taken before Caddy has it.
	for range 10 {
		p.port, p.port2 = freePort(t), freePort(t)
		err := p.load(t, s)
		if err == nil {
			p.reloaded = false
			return p
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
	t.Fatal("no free port")
	return nil
}

// load loads another configuration, on the same ports.
func (p *proxy) load(t *testing.T, s setup) error {
	t.Helper()
	upstream := p.plane.Listener.Addr().String()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(s.text(p.storage, upstream, p.port, p.port2)), nil)
	if err != nil {
		return err
	}
	p.reloaded = true
	return caddy.Load(config, true)
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (p *proxy) url(path string) string { return "http://127.0.0.1:" + strconv.Itoa(p.port) + path }

// request is what a client sends. Zero values: POST, now, no header, no body.
type request struct {
	method, path, writeKey string
	header                 http.Header
	body                   string
	received               time.Time
}

// reply is what a client gets.
type reply struct {
	status int
	header http.Header
	body   string
	proto  string
}

// send sends a request, and returns the answer.
func (p *proxy) send(t *testing.T, r request) reply {
	t.Helper()
	begun := serving.count()
	out, err := p.try(r)
	// When a configuration takes over from another, connections are lost.
	// That the handler has not seen the request makes it safe to send it again.
	for tries := 0; p.reloaded && err != nil && tries < 20 && serving.count() == begun; tries++ {
		out, err = p.try(r)
	}
	if err != nil {
		t.Fatalf("%s: %v", r.path, err)
	}
	return out
}

func (p *proxy) try(r request) (reply, error) {
	if r.received.IsZero() {
		r.received = p.now
		p.now = p.now.Add(time.Millisecond)
	}
	if r.method == "" {
		r.method = http.MethodPost
	}
	out, err := http.NewRequest(r.method, p.url("/"), bytes.NewReader([]byte(r.body)))
	if err != nil {
		return reply{}, err
	}
	// The path goes out spelled as it is.
	out.URL.RawPath, out.URL.RawQuery, _ = strings.Cut(r.path, "?")
	if out.URL.Path, err = url.PathUnescape(out.URL.RawPath); err != nil {
		return reply{}, err
	}
	if r.header != nil {
		out.Header = r.header.Clone()
	}
	if r.writeKey != "" {
		out.SetBasicAuth(r.writeKey, "")
	}
	out.Header.Set(receivedAt, strconv.FormatInt(r.received.UnixMilli(), 10))
	return exchange(p.client, out)
}

func exchange(client *http.Client, r *http.Request) (reply, error) {
	response, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(body), response.Proto}, err
}

// post sends a body to a path, under a write key that all tests use.
func (p *proxy) post(t *testing.T, path, body string) reply {
	t.Helper()
	return p.send(t, request{path: path, writeKey: "wk1", body: body})
}

// start begins a session with this id.
func (p *proxy) start(t *testing.T, anonymousID string, id int64) {
	t.Helper()
	got := p.post(t, "/v1/startSession", fmt.Sprintf(`{"anonymousId":%q,"sessionId":%d}`, anonymousID, id))
	if want := fmt.Sprintf("{\"sessionId\":%d}\n", id); got.status != http.StatusOK || got.body != want {
		t.Fatalf("startSession: %d %q", got.status, got.body)
	}
}
