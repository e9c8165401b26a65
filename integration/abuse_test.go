package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// heapInUse is the size of the reachable heap, without garbage.
func heapInUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestSessionStartsAreLimited: an app that starts sessions in a loop is stopped at the
// endpoint, and its calls among events have no effect; a repeated call is answered.
func TestSessionStartsAreLimited(t *testing.T) {
	p := run(t, proxytest.Setup{Session: "max_session_starts 3"})
	call := func(name, message string, after time.Duration) proxytest.Reply {
		return p.Send(t, proxytest.Request{Path: "/v1/" + name, WriteKey: "wk1", Header: origin, Received: p.Now.Add(after), Body: `{"anonymousId":"a1"` + message + `}`})
	}
	first := call("startSession", `,"messageId":"s1"`, 0)
	for range 5 { // repeats do not count as starts
		if again := call("startSession", `,"messageId":"s1"`, 0); again.Body != first.Body {
			t.Fatalf("%d %s, before %s", again.Status, again.Body, first.Body)
		}
	}
	p.Post(t, "/v1/resetSession", `{"anonymousId":"nobody"}`)
	if got := call("resetSession", "", 0); got.Status != http.StatusOK {
		t.Fatal(got.Status)
	}
	p.Start(t, "a1", id1)
	for _, name := range []string{"startSession", "resetSession"} {
		got := call(name, "", 0)
		if got.Status != http.StatusTooManyRequests || got.Body != "{\"error\":\"too many sessions are started\"}\n" {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
		checkCORS(t, name, got, "https://shop.example")
		if got.Header.Get("Retry-After") != "60" {
			t.Errorf("Retry-After: %q", got.Header.Get("Retry-After"))
		}
	}
	if again := call("startSession", `,"messageId":"s1"`, 0); again.Body != first.Body {
		t.Errorf("a repeat is answered %d %s", again.Status, again.Body)
	}
	// Events are still stamped, with the current session.
	got := p.Post(t, "/v1/batch", `{"batch":[`+proxytest.Event("a1", "m1")+`,{"type":"startSession","anonymousId":"a1"},`+proxytest.Event("a1", "m2")+`]}`)
	p.Expect(t, "1234567890!", "1234567890")
	if got.Status != http.StatusOK {
		t.Error(got.Status)
	}
	if got := p.Post(t, "/v1/track", `{"anonymousId":"a1","event":"startSession"}`); got.Status != http.StatusOK || got.Body != "ok" {
		t.Errorf("a track is answered %d %s", got.Status, got.Body)
	}
	p.Expect(t)
	// Other users, and ends, are not limited; a minute later this user is not either.
	p.Start(t, "a2", id1)
	if got := call("endSession", "", 0); got.Status != http.StatusOK {
		t.Error(got.Status)
	}
	if got := call("startSession", "", time.Minute); got.Status != http.StatusOK {
		t.Errorf("a minute later: %d %s", got.Status, got.Body)
	}
	// Of a batch with too many starts, as many are carried out as are allowed.
	p.Now = p.Now.Add(5 * time.Minute)
	starts := strings.Repeat(`{"type":"startSession","anonymousId":"a3"},`, 9)
	p.Post(t, "/v1/batch", `{"batch":[`+starts+proxytest.Event("a3", "m9")+`]}`)
	if a := p.Plane.Take(); len(a) != 1 || len(proxytest.Messages(t, a[0])) != 1 {
		t.Errorf("%d requests arrived", len(a))
	}
	if got := p.Post(t, "/v1/startSession", `{"anonymousId":"a3"}`); got.Status != http.StatusTooManyRequests {
		t.Errorf("after a batch: %d", got.Status)
	}
}

// TestSessionStartsUnlimited: with `off` there is no limit.
func TestSessionStartsUnlimited(t *testing.T) {
	p := run(t, proxytest.Setup{Session: "max_session_starts off"})
	for i := range 700 {
		if got := p.Post(t, "/v1/startSession", `{"anonymousId":"a1"}`); got.Status != http.StatusOK {
			t.Fatalf("call %d: %d", i, got.Status)
		}
	}
}

// TestHostileBodies sends small bodies that decompress to large ones, or consist of
// very many values. They reach the data plane unchanged, and leave nothing in memory.
func TestHostileBodies(t *testing.T) {
	const limit = 4096000
	tiny := `{"batch":[` + strings.Repeat("{},", limit/3-10) + `{}]}`
	// A gzip file may consist of several, one behind the other.
	bomb := proxytest.Zip(t, `{"batch":[`) + strings.Repeat(proxytest.Zip(t, strings.Repeat(" ", 1<<20)), 64) + proxytest.Zip(t, `{}]}`)
	for name, r := range map[string]proxytest.Request{
		"a million empty messages":         {Path: "/v1/batch", Body: tiny},
		"a million empty messages, zipped": {Path: "/v1/batch", Body: proxytest.Zip(t, tiny), Header: http.Header{"Content-Encoding": {"gzip"}}},
		"a gzip bomb":                      {Path: "/v1/batch", Body: bomb, Header: http.Header{"Content-Encoding": {"gzip"}}},
		"deep arrays":                      {Path: "/v1/track", Body: `{"anonymousId":"a1","properties":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + `}`},
		"deep objects":                     {Path: "/v1/track", Body: `{"anonymousId":"a1","context":` + strings.Repeat(`{"a":`, 200_000) + "1" + strings.Repeat("}", 200_000) + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, proxytest.Setup{})
			p.Start(t, "a1", id1)
			p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
			p.Plane.Take()
			before := heapInUse()
			r.WriteKey = "wk1"
			for range 3 {
				p.Send(t, r)
				a := p.Plane.Take()
				if len(a) != 1 || string(a[0].Body) != r.Body {
					t.Fatalf("%d requests arrived, or another body", len(a))
				}
			}
			proxytest.Serving.Wait(0)
			if grown := heapInUse() - before; grown > 16<<20 {
				t.Errorf("%d bytes stay in memory", grown)
			}
		})
	}
}

// TestTinyMessagesTakeLittle: the memory for a request of minimal messages is bounded by
// their number, and far from a hundred times its size.
func TestTinyMessagesTakeLittle(t *testing.T) {
	p := run(t, proxytest.Setup{})
	body := `{"batch":[` + strings.Repeat("{},", 4096000/3-10) + `{}]}`
	var before, after runtime.MemStats
	p.Post(t, "/v1/batch", body)
	p.Plane.Take()
	runtime.ReadMemStats(&before)
	p.Post(t, "/v1/batch", body)
	runtime.ReadMemStats(&after)
	// Client, Caddy and data plane are in one process and each has the body; growing
	// buffers count with all their earlier sizes.
	if n := after.TotalAlloc - before.TotalAlloc; n > 120<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

// TestManyControlCallsInOneBatch: of twenty thousand calls of one user, with events
// between them, as many begin a session as are allowed.
func TestManyControlCallsInOneBatch(t *testing.T) {
	p := run(t, proxytest.Setup{Session: "max_session_starts off"})
	var b strings.Builder
	b.WriteString(`{"batch":[`)
	for i := range 20_000 {
		fmt.Fprintf(&b, `{"type":"startSession","anonymousId":"a1","messageId":"c%d"},`, i)
	}
	b.WriteString(proxytest.Event("a1", "m1") + `]}`)
	p.Post(t, "/v1/batch", b.String())
	a := p.Plane.Take()
	if len(a) != 1 || !strings.HasSuffix(proxytest.Messages(t, a[0])[0].Session(), "!") {
		t.Fatalf("%d requests arrived", len(a))
	}
}

// TestManyIDsInOneBatch: a store that does not answer delays a request by one deadline,
// however many ids it has.
func TestManyIDsInOneBatch(t *testing.T) {
	eachKind(t, func(t *testing.T, f *faults, _ string, with func(string) proxytest.Setup) {
		p := run(t, with(""))
		f.stalls.Store(true)
		var b strings.Builder
		b.WriteString(`{"batch":[`)
		for i := range 5000 {
			fmt.Fprintf(&b, `%s,`, proxytest.Event(fmt.Sprint("id", i), fmt.Sprint("m", i)))
		}
		b.WriteString(proxytest.Event("a1", "m1") + `]}`)
		p.Post(t, "/v1/batch", b.String())
		if a := p.Plane.Take(); len(a) != 1 || string(a[0].Body) != b.String() {
			t.Errorf("%d requests arrived, or another body", len(a))
		}
		f.stalls.Store(false)
	})
}

// TestGiantIDs: long ids and write keys take no more memory than a hash.
func TestGiantIDs(t *testing.T) {
	p := run(t, proxytest.Setup{Global: "rudder_session {\nstore memory\n}"})
	before := heapInUse()
	giant := strings.Repeat("x", 1<<19)
	for i := range 20 {
		body, _ := json.Marshal(map[string]any{"anonymousId": fmt.Sprint(giant, i), "userId": giant, "messageId": giant})
		if got := p.Post(t, "/v1/startSession", string(body)); got.Status != http.StatusOK {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
	}
	proxytest.Serving.Wait(0)
	if grown := heapInUse() - before; grown > 8<<20 {
		t.Errorf("20 sessions take %d bytes", grown)
	}
}

// TestSlowBodies: the example configuration ends a request whose body does not arrive.
func TestSlowBodies(t *testing.T) {
	text, err := os.ReadFile("Caddyfile.example")
	if err != nil || !strings.Contains(string(text), "read_body 60s") {
		t.Fatalf("Caddyfile.example bounds no bodies (%v)", err)
	}
	// The same option with a shorter time works.
	p := run(t, proxytest.Setup{Global: "servers {\ntimeouts {\nread_body 100ms\n}\n}"})
	c := p.dial(t)
	io.WriteString(c, head("/v1/track", "Content-Length: 1000\r\n")+"{")
	if _, err := io.ReadAll(c); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error(err)
	}
	proxytest.Serving.Wait(1)
	p.Expect(t)
}

// TestFullFileRefusesNewUsers: while the file is full and no room has been made yet,
// known users are served; calls of new users get a 503, and their events are forwarded
// as they came.
func TestFullFileRefusesNewUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	bounded := func(by string) proxytest.Setup {
		return proxytest.Setup{Global: fmt.Sprintf("rudder_session {\nstore file %s {\nmax_sessions %s\n}\n}", path, by), Session: "automatic proxy"}
	}
	p := run(t, bounded("off"))
	p.Plane.ReplyWith(proxytest.Echo)
	for i := range 5 {
		var calls []string
		for j := range 500 {
			calls = append(calls, fmt.Sprintf(`{"type":"startSession","anonymousId":"user-%d"}`, 500*i+j))
		}
		if got := p.Post(t, "/v1/batch", `{"batch":[`+strings.Join(calls, ",")+`]}`); got.Status != http.StatusOK {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
	}
	p.mustLoad(t, bounded("1000"))
	got := p.Post(t, "/v1/startSession", `{"anonymousId":"new"}`)
	if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", got.Status, got.Header, got.Body)
	}
	if body := proxytest.Event("new", "m1"); p.Post(t, "/v1/track", body).Body != body {
		t.Error("an event was changed")
	}
	if got := p.Post(t, "/v1/track", proxytest.Event("user-7", "m2")); !strings.Contains(got.Body, `"sessionStart":true`) {
		t.Errorf("of a known user: %s", got.Body)
	}
	if got := p.Post(t, "/v1/endSession", `{"anonymousId":"user-8"}`); got.Status != http.StatusOK {
		t.Errorf("of a known user: %d %s", got.Status, got.Body)
	}
}
