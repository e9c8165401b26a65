package proxytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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
	"github.com/rudder-session/rudder-session/internal/freeport"
)

func init() {
	caddy.RegisterModule((*TestClock)(nil))
	httpcaddyfile.RegisterHandlerDirective("test_clock", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(TestClock), nil
	})
	httpcaddyfile.RegisterDirectiveOrder("test_clock", httpcaddyfile.Before, "tracing")
}

// ReceivedAt is a request header that sets when the request arrived, in Unix
// milliseconds.
const ReceivedAt = "X-Test-Received-At"

// notBefore is a request header with the oldest generation that may serve the request.
const notBefore = "X-Test-Not-Before"

// generations counts the handlers that were made.
var generations atomic.Int64

// TestClock is the first handler of a site. It sets when a request arrived, and counts
// the requests that are being served. A reload ends before the old configuration has
// stopped taking requests: it refuses those that are meant for the new one.
type TestClock struct{ generation int64 }

// Provision counts the handler.
func (c *TestClock) Provision(caddy.Context) error {
	c.generation = generations.Add(1)
	return nil
}

func (*TestClock) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_clock", New: func() caddy.Module { return new(TestClock) }}
}

func (c *TestClock) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if oldest, _ := strconv.ParseInt(r.Header.Get(notBefore), 10, 64); c.generation < oldest {
		panic(http.ErrAbortHandler)
	}
	r.Header.Del(notBefore)
	Serving.Change(1)
	defer Serving.Change(-1)
	if ms, err := strconv.ParseInt(r.Header.Get(ReceivedAt), 10, 64); err == nil {
		caddyhttp.SetVar(r.Context(), "start_time", time.UnixMilli(ms))
	}
	r.Header.Del(ReceivedAt)
	return next.ServeHTTP(w, r)
}

// Serving counts requests. A client gets its response before the handler returns, and
// what such a handler still uses would outlive Caddy's stop.
var Serving = func() *Counter { c := new(Counter); c.Cond.L = &c.Mu; return c }()

type Counter struct {
	Mu             sync.Mutex
	Cond           sync.Cond
	Begun, Running int
}

func (c *Counter) Change(by int) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	c.Running += by
	c.Begun += max(by, 0)
	c.Cond.Broadcast()
}

// Reset sets the number of requests that have begun to 0.
func (c *Counter) Reset() {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	c.Begun = 0
}

func (c *Counter) Count() int {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	return c.Begun
}

// Wait returns when so many requests have begun since Reset, and none is being served.
func (c *Counter) Wait(begun int) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	for c.Begun < begun || c.Running > 0 {
		c.Cond.Wait()
	}
}

// WaitBegun returns when so many requests have begun since Reset.
func (c *Counter) WaitBegun(begun int) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	for c.Begun < begun {
		c.Cond.Wait()
	}
}

// Setup is a Caddy configuration in pieces.
type Setup struct {
	Global  string // global options
	Session string // the options of rudder_session
	// Site replaces the site's directives, which otherwise are Directives. In all
	// pieces, $UPSTREAM is the data plane's address, $PORT the site's port, and $PORT2
	// another free port.
	Site string
	// Before and More are what precedes and follows the site.
	Before, More string
}

// Directives are the default directives of a site.
const Directives = "rudder_session {\n$SESSION\n}\nreverse_proxy $UPSTREAM"

func (s Setup) Text(storage, upstream string, port, port2 int) string {
	site := s.Site
	if site == "" {
		site = Directives
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
`, storage, s.Global, s.Before, site, s.More)
	return strings.NewReplacer("$SESSION", s.Session, "$UPSTREAM", upstream,
		"$PORT2", strconv.Itoa(port2), "$PORT", strconv.Itoa(port)).Replace(text)
}

// Proxy is a running Caddy in front of a data plane.
type Proxy struct {
	Plane       *DataPlane
	Storage     string
	Port, Port2 int
	Client      *http.Client
	Reloaded    bool
	// generation is the oldest generation of the configuration that was loaded last.
	generation int64
	// Now is when the next request arrives; each one arrives a millisecond after the
	// one before.
	Now time.Time
}

// Run starts Caddy with an empty table, and stops it at the end of the test.
func Run(t *testing.T, s Setup) *Proxy {
	t.Helper()
	p := &Proxy{Plane: NewDataPlane(t), Storage: t.TempDir(), Now: time.Now().Truncate(time.Millisecond)}
	t.Setenv("XDG_DATA_HOME", p.Storage) // the default store has its file there
	transport := &http.Transport{DisableCompression: true}
	p.Client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	Serving.Reset()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		Serving.Wait(0)
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	// Another program may take a free port before Caddy does.
	for range 10 {
		p.Port, p.Port2 = freeport.Claim(t), freeport.Claim(t)
		err := p.Load(t, s)
		if err == nil {
			p.Reloaded = false
			return p
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
	t.Fatal("no free port")
	return nil
}

// Load loads another configuration on the same ports.
func (p *Proxy) Load(t *testing.T, s Setup) error {
	t.Helper()
	upstream := p.Plane.Listener.Addr().String()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(s.Text(p.Storage, upstream, p.Port, p.Port2)), nil)
	if err != nil {
		return err
	}
	p.Reloaded = true
	before := generations.Load()
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	p.generation = before + 1
	return nil
}

func (p *Proxy) URL(path string) string { return "http://127.0.0.1:" + strconv.Itoa(p.Port) + path }

// Request is a request of a client. The zero values are POST, now, no header, no body.
type Request struct {
	Method, Path, WriteKey string
	Header                 http.Header
	Body                   string
	Received               time.Time

	notBefore int64
}

// Reply is the response to a request.
type Reply struct {
	Status int
	Header http.Header
	Body   string
	Proto  string
}

// Send sends a request, and returns the response.
func (p *Proxy) Send(t *testing.T, r Request) Reply {
	t.Helper()
	begun := Serving.Count()
	r.notBefore = p.generation
	out, err := p.Try(r)
	// During a reload, connections can be lost. If no handler has seen the request, it
	// is safe to send it again.
	for tries := 0; p.Reloaded && err != nil && tries < 1000 && Serving.Count() == begun; tries++ {
		out, err = p.Try(r)
	}
	if err != nil {
		t.Fatalf("%s: %v", r.Path, err)
	}
	return out
}

func (p *Proxy) Try(r Request) (Reply, error) {
	if r.Received.IsZero() {
		r.Received = p.Now
		p.Now = p.Now.Add(time.Millisecond)
	}
	if r.Method == "" {
		r.Method = http.MethodPost
	}
	out, err := http.NewRequest(r.Method, p.URL("/"), bytes.NewReader([]byte(r.Body)))
	if err != nil {
		return Reply{}, err
	}
	// Send the path exactly as it is written.
	out.URL.RawPath, out.URL.RawQuery, _ = strings.Cut(r.Path, "?")
	if out.URL.Path, err = url.PathUnescape(out.URL.RawPath); err != nil {
		return Reply{}, err
	}
	if r.Header != nil {
		out.Header = r.Header.Clone()
	}
	if r.WriteKey != "" {
		out.SetBasicAuth(r.WriteKey, "")
	}
	out.Header.Set(ReceivedAt, strconv.FormatInt(r.Received.UnixMilli(), 10))
	if r.notBefore > 0 {
		out.Header.Set(notBefore, strconv.FormatInt(r.notBefore, 10))
	}
	return Exchange(p.Client, out)
}

func Exchange(client *http.Client, r *http.Request) (Reply, error) {
	response, err := client.Do(r)
	if err != nil {
		return Reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return Reply{response.StatusCode, response.Header, string(body), response.Proto}, err
}

// Post sends a body to a path, with the write key of all tests.
func (p *Proxy) Post(t *testing.T, path, body string) Reply {
	t.Helper()
	return p.Send(t, Request{Path: path, WriteKey: "wk1", Body: body})
}

// Start starts a session with this id.
func (p *Proxy) Start(t *testing.T, anonymousID string, id int64) {
	t.Helper()
	got := p.Post(t, "/v1/startSession", fmt.Sprintf(`{"anonymousId":%q,"sessionId":%d}`, anonymousID, id))
	if want := fmt.Sprintf("{\"sessionId\":%d}\n", id); got.Status != http.StatusOK || got.Body != want {
		t.Fatalf("startSession: %d %q", got.Status, got.Body)
	}
}
