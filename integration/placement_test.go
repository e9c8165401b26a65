package integration_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestPlacement puts the directive at the usual places in configurations: without an
// `order` line it works on events and control calls in all of them.
func TestPlacement(t *testing.T) {
	for name, c := range map[string]struct {
		snippet, site string
		prefix        string // before paths that clients use
		kept          bool   // the data plane gets the prefix too
	}{
		"before":              {site: "rudder_session\nreverse_proxy $UPSTREAM"},
		"after":               {site: "reverse_proxy $UPSTREAM\nrudder_session"},
		"handle behind it":    {site: "rudder_session\nhandle /v1/* {\n\treverse_proxy $UPSTREAM\n}\nhandle {\n\trespond 404\n}"},
		"in handle":           {site: "handle {\n\treverse_proxy $UPSTREAM\n\trudder_session\n}"},
		"in handle_path":      {site: "handle_path /rs/* {\n\trudder_session\n\treverse_proxy $UPSTREAM\n}", prefix: "/rs"},
		"before handle_path":  {site: "rudder_session {\n\tprefix /rs\n}\nhandle_path /rs/* {\n\treverse_proxy $UPSTREAM\n}", prefix: "/rs"},
		"prefix kept":         {site: "rudder_session {\n\tprefix /rs/x\n}\nreverse_proxy $UPSTREAM", prefix: "/rs/x", kept: true},
		"uri strip_prefix":    {site: "uri strip_prefix /rs\nrudder_session\nreverse_proxy $UPSTREAM", prefix: "/rs"},
		"in route":            {site: "route {\n\trudder_session\n\treverse_proxy $UPSTREAM\n}"},
		"before route":        {site: "rudder_session\nroute /v1/* {\n\treverse_proxy $UPSTREAM\n}"},
		"with a matcher":      {site: "rudder_session /v1/*\nreverse_proxy $UPSTREAM"},
		"encode":              {site: "encode\nrudder_session\nreverse_proxy $UPSTREAM"},
		"request_body":        {site: "rudder_session\nrequest_body {\n\tmax_size 1MB\n}\nreverse_proxy $UPSTREAM"},
		"log_append":          {site: "log\nlog_append body {http.request.body}\nrudder_session\nreverse_proxy $UPSTREAM"},
		"tracing":             {site: "tracing\nrudder_session\nreverse_proxy $UPSTREAM"},
		"twice in a route":    {site: "route {\n\trudder_session\n\trudder_session\n\treverse_proxy $UPSTREAM\n}"},
		"twice, by matchers":  {site: "rudder_session\nrudder_session /v1/*\nreverse_proxy $UPSTREAM"},
		"twice, with handle":  {site: "rudder_session\nhandle {\n\trudder_session\n\treverse_proxy $UPSTREAM\n}"},
		"in a snippet":        {snippet: "(sessions) {\n\trudder_session\n\treverse_proxy $UPSTREAM\n}", site: "import sessions"},
		"in a named route":    {snippet: "&(sessions) {\n\troute {\n\t\trudder_session\n\t\treverse_proxy $UPSTREAM\n\t}\n}", site: "invoke sessions"},
		"request_header Host": {site: "request_header Host x\nrudder_session\nreverse_proxy $UPSTREAM"},
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, proxytest.Setup{Site: c.site, Before: c.snippet})
			// Each such call begins a new session, so handling it twice would show.
			started := p.Post(t, c.prefix+"/v1/startSession", `{"anonymousId":"a1","userId":"u1"}`)
			id, ok := strings.CutPrefix(strings.TrimSuffix(started.Body, "}\n"), `{"sessionId":`)
			if started.Status != http.StatusOK || !ok {
				t.Fatalf("startSession: %d %q", started.Status, started.Body)
			}
			if got := p.Post(t, c.prefix+"/v1/track", proxytest.Event("a1", "m1")); got.Status != http.StatusOK || got.Body != "ok" {
				t.Fatalf("track: %d %q", got.Status, got.Body)
			}
			p.Post(t, c.prefix+"/v1/track", proxytest.Event("a1", "m2"))
			p.Post(t, c.prefix+"/v1/identify", `{"anonymousId":"a1","userId":"u2","messageId":"m3"}`)
			p.Post(t, c.prefix+"/v1/batch", `{"batch":[`+proxytest.Event("a1", "m4")+`,{"type":"endSession","anonymousId":"a1"},`+proxytest.Event("a1", "m5")+`]}`)
			arrivals := p.Plane.Take()
			var got []string
			for _, m := range proxytest.Messages(t, arrivals...) {
				got = append(got, m.Session())
			}
			if len(got) != 5 {
				t.Fatalf("%q arrived", got)
			}
			next := strings.TrimSuffix(got[2], "!")
			if want := []string{id + "!", id, next + "!", next, ""}; !slices.Equal(got, want) || next == id {
				t.Errorf("sessions %q of %s", got, id)
			}
			want := "/v1/track"
			if c.kept {
				want = c.prefix + want
			}
			if arrivals[0].URI != want {
				t.Errorf("arrived at %s, want %s", arrivals[0].URI, want)
			}
		})
	}
}

// TestRequestBodyLimit: a body that another directive refuses is refused.
func TestRequestBodyLimit(t *testing.T) {
	p := run(t, proxytest.Setup{Site: "request_body {\n\tmax_size 500\n}\n" + proxytest.Directives})
	p.Start(t, "a1", id1)
	large := proxytest.Event("a1", strings.Repeat("m", 500))
	// Without a length, the limit is found when the handler reads the body.
	chunked := func(path string) proxytest.Reply {
		t.Helper()
		r, _ := http.NewRequest(http.MethodPost, p.URL(path), io.NopCloser(strings.NewReader(large)))
		r.SetBasicAuth("wk1", "")
		r.Header.Set("Origin", "https://shop.example")
		got, err := proxytest.Exchange(p.Client, r)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	control := chunked("/v1/startSession")
	checkCORS(t, "control call", control, "https://shop.example")
	for _, got := range []proxytest.Reply{p.Post(t, "/v1/track", large), p.Post(t, "/v1/startSession", large), chunked("/v1/track"), control} {
		if got.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d, want 413", got.Status)
		}
	}
	p.Expect(t)
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	p.Expect(t, "1234567890!")
}

func TestTwoSitesShareOneTable(t *testing.T) {
	p := run(t, proxytest.Setup{More: "http://:$PORT2 {\n\ttest_clock\n\trudder_session\n\treverse_proxy $UPSTREAM\n}"})
	p.Start(t, "a1", id1)
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	p.Port, p.Port2 = p.Port2, p.Port
	p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
	p.Post(t, "/v1/endSession", `{"anonymousId":"a1"}`)
	p.Port, p.Port2 = p.Port2, p.Port
	p.Post(t, "/v1/track", proxytest.Event("a1", "m3"))
	p.Expect(t, "1234567890!", "1234567890", "")
}

// TestIncremental: a request that asks not to be buffered is not read.
func TestIncremental(t *testing.T) {
	p := run(t, proxytest.Setup{})
	p.Start(t, "a1", id1)
	body := proxytest.Event("a1", "m1")
	p.Send(t, proxytest.Request{Path: "/v1/track", WriteKey: "wk1", Body: body, Header: http.Header{"Incremental": {"?1"}}})
	if a := p.Plane.Take(); len(a) != 1 || string(a[0].Body) != body {
		t.Errorf("arrived: %v", a)
	}
	p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
	p.Expect(t, "1234567890!")
}

// TestProxyRetries: a retry by reverse_proxy sends the same bytes as the first attempt.
func TestProxyRetries(t *testing.T) {
	p := run(t, proxytest.Setup{Site: `rudder_session
reverse_proxy $UPSTREAM {
	request_buffers 1MB
	lb_retries 3
	lb_try_interval 1ms
	lb_retry_match {
		method POST
	}
}`})
	p.Start(t, "a1", id1)
	for _, body := range []string{
		proxytest.Event("a1", "m1"),
		`{"batch":[` + proxytest.Event("a1", "m2") + `,{"type":"startSession","anonymousId":"a1","sessionId":2345678901},` + proxytest.Event("a1", "m3") + `]}`,
		proxytest.Event("a2", "m4"),
	} {
		var attempts atomic.Int32
		p.Plane.ReplyWith(func(*proxytest.Arrival) (int, string) {
			if attempts.Add(1) < 3 {
				return proxytest.HangUp, ""
			}
			return http.StatusOK, "ok"
		})
		path := "/v1/track"
		if strings.HasPrefix(body, `{"batch"`) {
			path = "/v1/batch"
		}
		if got := p.Post(t, path, body); got.Status != http.StatusOK || got.Body != "ok" {
			t.Errorf("answer %d %q", got.Status, got.Body)
		}
		a := p.Plane.Take()
		if len(a) != 3 {
			t.Fatalf("%d attempts", len(a))
		}
		for _, other := range a[1:] {
			if string(other.Body) != string(a[0].Body) || other.ContentLength != int64(len(a[0].Body)) {
				t.Errorf("%q, then %q", a[0].Body, other.Body)
			}
		}
		p.Plane.Mu.Lock()
		p.Plane.Arrivals = a[:1]
		p.Plane.Mu.Unlock()
		switch body {
		case proxytest.Event("a1", "m1"):
			p.Expect(t, "1234567890!")
		case proxytest.Event("a2", "m4"):
			p.Expect(t, "")
		default:
			p.Expect(t, "1234567890", "2345678901!")
		}
	}
}

// TestConcurrency: many users at once, and many requests of one user.
func TestConcurrency(t *testing.T) {
	const clients, events = 16, 40
	p := run(t, proxytest.Setup{})
	p.Client.Transport.(*http.Transport).MaxIdleConnsPerHost = clients
	p.Start(t, "shared", id1)
	received := p.Now
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			own := fmt.Sprintf("own %d", c)
			send := func(path, body string) {
				got, err := p.Try(proxytest.Request{Path: path, WriteKey: "wk1", Body: body, Received: received})
				if err != nil || got.Status != http.StatusOK {
					t.Errorf("%d %v", got.Status, err)
				}
			}
			send("/v1/startSession", fmt.Sprintf(`{"anonymousId":%q,"sessionId":%d}`, own, id1+1+c))
			for i := range events {
				send("/v1/track", proxytest.Event(own, fmt.Sprint(i)))
				send("/v1/batch", `{"batch":[`+proxytest.Event("shared", fmt.Sprint(c, i, "a"))+","+proxytest.Event("shared", fmt.Sprint(c, i, "b"))+`]}`)
			}
		})
	}
	group.Wait()
	sessions := map[string]int{}
	for _, m := range proxytest.Messages(t, p.Plane.Take()...) {
		sessions[m.AnonymousID+" "+m.Session()]++
	}
	want := map[string]int{"shared 1234567890!": 1, "shared 1234567890": 2*clients*events - 1}
	for c := range clients {
		own := fmt.Sprintf("own %d %d", c, id1+1+c)
		want[own+"!"], want[own] = 1, events-1
	}
	for name, n := range want {
		if sessions[name] != n {
			t.Errorf("%s: %d events, want %d", name, sessions[name], n)
		}
	}
	if len(sessions) != len(want) {
		t.Errorf("sessions %v", sessions)
	}
}
