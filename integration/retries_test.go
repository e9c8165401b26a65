package integration_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

func init() { caddy.RegisterModule((*gatePolicy)(nil)) }

// gatePolicy is a selection policy that reverse_proxy calls before each attempt, and that
// can delay the attempt.
type gatePolicy struct{}

var gate struct {
	sync.Mutex
	before func(attempt int)
	count  int
}

func (*gatePolicy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.selection_policies.test_gate",
		New: func() caddy.Module { return new(gatePolicy) },
	}
}

func (*gatePolicy) Select(pool reverseproxy.UpstreamPool, _ *http.Request, _ http.ResponseWriter) *reverseproxy.Upstream {
	gate.Lock()
	gate.count++
	count, before := gate.count, gate.before
	gate.Unlock()
	if before != nil {
		before(count)
	}
	return pool[0]
}

func (*gatePolicy) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

// setGate makes a function be called before each attempt, with the attempt's number from
// 1.
func setGate(t *testing.T, before func(attempt int)) {
	set := func(before func(int)) {
		gate.Lock()
		defer gate.Unlock()
		gate.before, gate.count = before, 0
	}
	set(before)
	t.Cleanup(func() { set(nil) })
}

// proxyOptions returns the reverse_proxy options of each shipped configuration with
// retries.
func proxyOptions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range []string{
		"Caddyfile.example", "deploy/Caddyfile", "deploy/Caddyfile.custom-domain", "deploy/Caddyfile.custom-domain-self-hosted",
	} {
		text := readText(t, file)
		found := atDepth(text, "\t")
		if len(found) == 0 {
			found = atDepth(text, "\t\t")
		}
		if len(found) == 0 {
			t.Fatalf("%s has no reverse_proxy", file)
		}
		all[file] = found[len(found)-1][1] // the last one leads to the data plane
	}
	return all
}

// atDepth finds the blocks of reverse_proxy at an indentation.
func atDepth(text, indent string) [][]string {
	return regexp.MustCompile(`(?ms)^`+indent+`reverse_proxy [^\n]+ \{\n(.*?)^`+indent+`\}$`).FindAllStringSubmatch(text, -1)
}

var someDuration = regexp.MustCompile(`(?m)^(\s*(lb_try_interval|lb_try_duration|response_header_timeout|read_timeout) )(\S+)$`)

// faster divides the durations of some options.
func faster(t *testing.T, options string, by time.Duration, names ...string) string {
	t.Helper()
	return someDuration.ReplaceAllStringFunc(options, func(line string) string {
		m := someDuration.FindStringSubmatch(line)
		for _, name := range names {
			if m[2] == name {
				d, err := time.ParseDuration(m[3])
				if err != nil {
					t.Fatal(err)
				}
				return m[1] + (d / by).String()
			}
		}
		return line
	})
}

// inFrontOf is a site that proxies to an address with some options.
func inFrontOf(address, options string) proxytest.Setup {
	return proxytest.Setup{Site: "rudder_session\nreverse_proxy " + address + " {\n" + options + "\nlb_policy test_gate\n}"}
}

// serveAt serves until the test is over.
func serveAt(t *testing.T, l net.Listener, serve http.HandlerFunc) {
	server := &http.Server{Handler: serve, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
}

// TestRetriesAreForConnections: no configuration retries a request that was sent and not
// answered, while an SDK may still wait for the answer.
func TestRetriesAreForConnections(t *testing.T) {
	const longestSDK = 30 * time.Second
	for file, options := range proxyOptions(t) {
		config, _ := adaptCaddyfile(t, "http://127.0.0.1 {\nreverse_proxy 127.0.0.1:1 {\n"+options+"\n}\n}")
		var handler struct {
			Balancing struct {
				Retries  int            `json:"retries"`
				Duration caddy.Duration `json:"try_duration"`
				Interval caddy.Duration `json:"try_interval"`
			} `json:"load_balancing"`
			Transport struct {
				Header caddy.Duration `json:"response_header_timeout"`
				Read   caddy.Duration `json:"read_timeout"`
			} `json:"transport"`
		}
		text := regexp.MustCompile(`\{"handler":"reverse_proxy".*\}`).FindString(string(config))
		if err := json.NewDecoder(strings.NewReader(text)).Decode(&handler); err != nil {
			t.Fatal(err, text)
		}
		b, header := handler.Balancing, time.Duration(handler.Transport.Header)
		if header <= longestSDK {
			t.Errorf("%s: response_header_timeout %s is shorter than an SDK waits", file, header)
		}
		if b.Duration == 0 || time.Duration(b.Duration) >= header {
			t.Errorf("%s: after response_header_timeout %s it is sent again, as lb_try_duration is %s", file, header, time.Duration(b.Duration))
		}
		if handler.Transport.Read != 0 {
			t.Errorf("%s: read_timeout cuts off requests on connections that were idle", file)
		}
		if down := time.Duration(b.Retries) * time.Duration(b.Interval); down < 5*time.Second {
			t.Errorf("%s: a data plane that is down for 5 s loses events: it is tried for %s", file, down)
		}
	}
}

// TestStalledDataPlane: a request that is not answered arrives once: on a new connection,
// on a reused one, and after a connection that was closed.
func TestStalledDataPlane(t *testing.T) {
	for file, options := range proxyOptions(t) {
		t.Run(file, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			release := make(chan struct{})
			var mu sync.Mutex
			arrived := map[string]int{}
			serveAt(t, l, func(w http.ResponseWriter, r *http.Request) {
				var message struct{ AnonymousID string }
				if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
					t.Error(err)
				}
				mu.Lock()
				arrived[message.AnonymousID]++
				n := arrived[message.AnonymousID]
				mu.Unlock()
				switch {
				case message.AnonymousID == "quick":
				case message.AnonymousID == "closed" && n == 1:
					panic(http.ErrAbortHandler)
				default:
					<-release
				}
				fmt.Fprint(w, "ok")
			})
			p := run(t, inFrontOf(l.Addr().String(), faster(t, options, 100,
				"lb_try_interval", "lb_try_duration", "response_header_timeout", "read_timeout")))
			t.Cleanup(func() { close(release) }) // before the server is closed
			for _, id := range []string{"stalled", "reused", "closed"} {
				// After an answer, its connection is reused.
				for id == "reused" && p.Post(t, "/v1/track", proxytest.Event("quick", "m")).Status != http.StatusOK {
				}
				setGate(t, nil)
				got := p.Post(t, "/v1/track", proxytest.Event(id, "m"))
				gate.Lock()
				attempts := gate.count
				gate.Unlock()
				if id == "closed" {
					attempts-- // on a slow machine there may be no time for a second one
				}
				if got.Status < 500 || attempts > 1 {
					t.Errorf("%s: answered %d, %d copies sent", id, got.Status, attempts)
				}
			}
		})
	}
}

// TestDataPlaneClosesConnections: an event whose connection, new or reused, is closed
// without an answer is sent again, and so is a pixel request.
func TestDataPlaneClosesConnections(t *testing.T) {
	for file, options := range proxyOptions(t) {
		t.Run(file, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			// The first three connections are closed when the request arrives. Each later one
			// answers once, and is closed when it is reused.
			var mu sync.Mutex
			connections, answered := 0, 0
			serve := func(c net.Conn) {
				defer c.Close()
				mu.Lock()
				connections++
				first := connections <= 3
				mu.Unlock()
				in := bufio.NewReader(c)
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if _, err := io.Copy(io.Discard, r.Body); err != nil || first {
					return
				}
				mu.Lock()
				answered++
				mu.Unlock()
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				_, _ = in.ReadByte()
			}
			var all sync.WaitGroup
			all.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					all.Go(func() { serve(c) })
				}
			})
			t.Cleanup(all.Wait) // after Caddy has closed its connections
			p := run(t, inFrontOf(l.Addr().String(), faster(t, options, 500, "lb_try_interval")))
			t.Cleanup(func() { l.Close() })
			const events = 20
			for i := range events {
				r := proxytest.Request{Path: "/v1/track", WriteKey: "wk1", Body: proxytest.Event("one", fmt.Sprint(i))}
				if i%4 == 3 {
					r = proxytest.Request{Method: "GET", Path: "/pixel/v1/track?writeKey=wk1&anonymousId=one&event=x"}
				}
				if got := p.Send(t, r); got.Status != http.StatusOK || got.Body != "ok" {
					t.Errorf("event %d: %d %s", i, got.Status, got.Body)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if answered != events {
				t.Errorf("%d were answered", answered)
			}
		})
	}
}

// TestDataPlaneIsDown: an event that comes while the data plane does not listen arrives
// when it does, after as many attempts as fit in 5 s.
func TestDataPlaneIsDown(t *testing.T) {
	for file, options := range proxyOptions(t) {
		t.Run(file, func(t *testing.T) {
			interval, err := time.ParseDuration(someDuration.FindStringSubmatch(options)[3])
			if err != nil {
				t.Fatal(err)
			}
			socket := filepath.Join(t.TempDir(), "s") // nobody else can listen there
			p := run(t, inFrontOf("unix/"+socket, faster(t, options, 500, "lb_try_interval")))
			var arrived atomic.Int32
			setGate(t, func(attempt int) {
				if attempt != int(5*time.Second/interval)+1 {
					return
				}
				l, err := net.Listen("unix", socket)
				if err != nil {
					t.Error(err)
					return
				}
				serveAt(t, l, func(w http.ResponseWriter, _ *http.Request) {
					arrived.Add(1)
					fmt.Fprint(w, "ok")
				})
			})
			if got := p.Post(t, "/v1/track", proxytest.Event("one", "m")); got.Status != http.StatusOK || got.Body != "ok" || arrived.Load() != 1 {
				t.Errorf("%d %s, arrived %d times", got.Status, got.Body, arrived.Load())
			}
		})
	}
}
