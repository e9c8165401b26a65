package ruddersession_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestPlacement puts the directive where configurations put it: without any
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
			p := run(t, setup{site: c.site, before: c.snippet})
			// A repeat begins a new session, so to do it twice would show.
			started := p.post(t, c.prefix+"/v1/startSession", `{"anonymousId":"a1","userId":"u1"}`)
			id, ok := strings.CutPrefix(strings.TrimSuffix(started.body, "}\n"), `{"sessionId":`)
			if started.status != http.StatusOK || !ok {
				t.Fatalf("startSession: %d %q", started.status, started.body)
			}
			if got := p.post(t, c.prefix+"/v1/track", event("a1", "m1")); got.status != http.StatusOK || got.body != "ok" {
				t.Fatalf("track: %d %q", got.status, got.body)
			}
			p.post(t, c.prefix+"/v1/track", event("a1", "m2"))
			p.post(t, c.prefix+"/v1/identify", `{"anonymousId":"a1","userId":"u2","messageId":"m3"}`)
			p.post(t, c.prefix+"/v1/batch", `{"batch":[`+event("a1", "m4")+`,{"type":"endSession","anonymousId":"a1"},`+event("a1", "m5")+`]}`)
			arrivals := p.plane.take()
			var got []string
			for _, m := range messages(t, arrivals...) {
				got = append(got, m.session())
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

// TestRequestBodyLimit: what another directive refuses stays refused.
func TestRequestBodyLimit(t *testing.T) {
	p := run(t, setup{site: "request_body {\n\tmax_size 500\n}\n" + directives})
	p.start(t, "a1", id1)
	large := event("a1", strings.Repeat("m", 500))
	// Without a length the limit is met while the body is read, which is here.
	chunked := func(path string) reply {
		t.Helper()
		r, _ := http.NewRequest(http.MethodPost, p.url(path), io.NopCloser(strings.NewReader(large)))
		r.SetBasicAuth("wk1", "")
		r.Header.Set("Origin", "https://shop.example")
		got, err := exchange(p.client, r)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	control := chunked("/v1/startSession")
	checkCORS(t, "control call", control, "https://shop.example")
	for _, got := range []reply{p.post(t, "/v1/track", large), p.post(t, "/v1/startSession", large), chunked("/v1/track"), control} {
		if got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d, want 413", got.status)
		}
	}
	p.expect(t)
	p.post(t, "/v1/track", event("a1", "m1"))
	p.expect(t, "1234567890!")
}

func TestTwoSitesShareOneTable(t *testing.T) {
	p := run(t, setup{more: "http://:$PORT2 {\n\ttest_clock\n\trudder_session\n\treverse_proxy $UPSTREAM\n}"})
	p.start(t, "a1", id1)
	p.post(t, "/v1/track", event("a1", "m1"))
	p.port, p.port2 = p.port2, p.port
	p.post(t, "/v1/track", event("a1", "m2"))
	p.post(t, "/v1/endSession", `{"anonymousId":"a1"}`)
	p.port, p.port2 = p.port2, p.port
	p.post(t, "/v1/track", event("a1", "m3"))
	p.expect(t, "1234567890!", "1234567890", "")
}

// TestIncremental: a request that asks not to be buffered is not read.
func TestIncremental(t *testing.T) {
	p := run(t, setup{})
	p.start(t, "a1", id1)
	body := event("a1", "m1")
	p.send(t, request{path: "/v1/track", writeKey: "wk1", body: body, header: http.Header{"Incremental": {"?1"}}})
	if a := p.plane.take(); len(a) != 1 || string(a[0].Body) != body {
		t.Errorf("arrived: %v", a)
	}
	p.post(t, "/v1/track", event("a1", "m2"))
	p.expect(t, "1234567890!")
}

// TestProxyRetries: an attempt of reverse_proxy's own sends the same bytes as
// the one before.
func TestProxyRetries(t *testing.T) {
	p := run(t, setup{site: `rudder_session
reverse_proxy $UPSTREAM {
	request_buffers 1MB
	lb_retries 3
	lb_try_interval 1ms
	lb_retry_match {
		method POST
	}
}`})
	p.start(t, "a1", id1)
	for _, body := range []string{
		event("a1", "m1"),
		`{"batch":[` + event("a1", "m2") + `,{"type":"startSession","anonymousId":"a1","sessionId":2345678901},` + event("a1", "m3") + `]}`,
		event("a2", "m4"),
	} {
		attempts := 0
		p.plane.replyWith(func(*arrival) (int, string) {
			if attempts++; attempts < 3 {
				return hangUp, ""
			}
			return http.StatusOK, "ok"
		})
		path := "/v1/track"
		if strings.HasPrefix(body, `{"batch"`) {
			path = "/v1/batch"
		}
		if got := p.post(t, path, body); got.status != http.StatusOK || got.body != "ok" {
			t.Errorf("answer %d %q", got.status, got.body)
		}
		a := p.plane.take()
		if len(a) != 3 {
			t.Fatalf("%d attempts", len(a))
		}
		for _, other := range a[1:] {
			if string(other.Body) != string(a[0].Body) || other.ContentLength != int64(len(a[0].Body)) {
				t.Errorf("%q, then %q", a[0].Body, other.Body)
			}
		}
		p.plane.mu.Lock()
		p.plane.arrivals = a[:1]
		p.plane.mu.Unlock()
		switch body {
		case event("a1", "m1"):
			p.expect(t, "1234567890!")
		case event("a2", "m4"):
			p.expect(t, "")
		default:
			p.expect(t, "1234567890", "2345678901!")
		}
	}
}

// TestConcurrency: many users at once, and many requests of one user.
func TestConcurrency(t *testing.T) {
	const clients, events = 16, 40
	p := run(t, setup{})
	p.client.Transport.(*http.Transport).MaxIdleConnsPerHost = clients
	p.start(t, "shared", id1)
	received := p.now
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			own := fmt.Sprintf("own %d", c)
			send := func(path, body string) {
				got, err := p.try(request{path: path, writeKey: "wk1", body: body, received: received})
				if err != nil || got.status != http.StatusOK {
					t.Errorf("%d %v", got.status, err)
				}
			}
			send("/v1/startSession", fmt.Sprintf(`{"anonymousId":%q,"sessionId":%d}`, own, id1+1+c))
			for i := range events {
				send("/v1/track", event(own, fmt.Sprint(i)))
				send("/v1/batch", `{"batch":[`+event("shared", fmt.Sprint(c, i, "a"))+","+event("shared", fmt.Sprint(c, i, "b"))+`]}`)
			}
		})
	}
	group.Wait()
	sessions := map[string]int{}
	for _, m := range messages(t, p.plane.take()...) {
		sessions[m.AnonymousID+" "+m.session()]++
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
