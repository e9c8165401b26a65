package integration_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// origin is a request header as a browser sends it.
var origin = http.Header{"Origin": {"https://shop.example"}}

// checkCORS checks that an answer of the proxy has the same CORS headers as the data
// plane's.
func checkCORS(t *testing.T, name string, got proxytest.Reply, origin string) {
	t.Helper()
	credentials := ""
	if origin != "" {
		credentials = "true"
	}
	if o, c := got.Header.Get("Access-Control-Allow-Origin"), got.Header.Get("Access-Control-Allow-Credentials"); o != origin || c != credentials {
		t.Errorf("%s: allows origin %q, credentials %q", name, o, c)
	}
	if !slices.Contains(got.Header.Values("Vary"), "Origin") {
		t.Errorf("%s: Vary %q", name, got.Header.Values("Vary"))
	}
}

// checkProblem checks that an answer is an error of the proxy.
func checkProblem(t *testing.T, name string, got proxytest.Reply, status int, names string) {
	t.Helper()
	var body map[string]string
	if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
		t.Errorf("%s: %v in %q", name, err, got.Body)
	}
	if got.Status != status || got.Header.Get("Content-Type") != "application/json" || len(body) != 1 || !strings.Contains(body["error"], names) {
		t.Errorf("%s: %d, %s, %q; want %d about %q", name, got.Status, got.Header.Get("Content-Type"), got.Body, status, names)
	}
	if after := got.Header.Get("Retry-After"); (status == http.StatusServiceUnavailable) != (after != "") {
		t.Errorf("%s: Retry-After %q", name, after)
	}
}

// TestAnswers: the answers that the proxy itself gives.
func TestAnswers(t *testing.T) {
	p := run(t, proxytest.Setup{Session: "write_keys wk1"})
	const jsonType, textType = "application/json", "text/plain; charset=utf-8"
	for name, c := range map[string]struct {
		path, writeKey, body string
		status               int
		contentType          string
		answer               string // "" for an error in JSON
		names                string // a text in the error
	}{
		"start":          {"/v1/startSession", "wk1", `{"anonymousId":"a","sessionId":1234567890}`, 200, jsonType, "{\"sessionId\":1234567890}\n", ""},
		"end":            {"/v1/endSession", "wk1", `{"anonymousId":"a"}`, 200, jsonType, "{\"sessionId\":null}\n", ""},
		"reset":          {"/v1/resetSession", "wk1", `{"anonymousId":"b"}`, 200, jsonType, "{\"sessionId\":null}\n", ""},
		"track":          {"/v1/track", "wk1", `{"anonymousId":"a","event":"endSession"}`, 200, textType, "ok", ""},
		"batch":          {"/v1/batch", "wk1", `{"batch":[{"anonymousId":"a","type":"endSession"}]}`, 200, textType, "ok", ""},
		"no write key":   {"/v1/startSession", "", `{"anonymousId":"a"}`, 401, textType, "failed to read writekey from header\n", ""},
		"other key":      {"/v1/startSession", "wk2", `{"anonymousId":"a"}`, 401, textType, "invalid write key\n", ""},
		"no id":          {"/v1/startSession", "wk1", `{}`, 400, jsonType, "", "anonymousId"},
		"no id, end":     {"/v1/endSession", "wk1", `{"anonymousId":null}`, 400, jsonType, "", "userId"},
		"no JSON":        {"/v1/startSession", "wk1", `anonymousId=a`, 400, jsonType, "", "JSON"},
		"no body":        {"/v1/startSession", "wk1", ``, 400, jsonType, "", "JSON"},
		"a list":         {"/v1/resetSession", "wk1", `[{"anonymousId":"a"}]`, 400, jsonType, "", "object"},
		"short":          {"/v1/startSession", "wk1", `{"anonymousId":"a","sessionId":123456789}`, 400, jsonType, "", "10 digits"},
		"short text":     {"/v1/startSession", "wk1", `{"anonymousId":"a","sessionId":"123"}`, 400, jsonType, "", "10 digits"},
		"negative":       {"/v1/startSession", "wk1", `{"anonymousId":"a","sessionId":-1234567890}`, 400, jsonType, "", "positive"},
		"zero":           {"/v1/startSession", "wk1", `{"anonymousId":"a","sessionId":0}`, 400, jsonType, "", "positive"},
		"decimal":        {"/v1/startSession", "wk1", `{"anonymousId":"a","sessionId":1234567890.5}`, 400, jsonType, "", "integer"},
		"large":          {"/v1/startSession", "wk1", `{"anonymousId":"a","sessionId":9007199254740992}`, 400, jsonType, "", "9007199254740991"},
		"text":           {"/v1/startSession", "wk1", `{"anonymousId":"a","sessionId":"abcdefghij"}`, 400, jsonType, "", "number"},
		"boolean":        {"/v1/startSession", "wk1", `{"anonymousId":"a","sessionId":true}`, 400, jsonType, "", "number"},
		"too large":      {"/v1/startSession", "wk1", strings.Repeat(" ", 4_096_001), 400, jsonType, "", "large"},
		"key in query":   {"/v1/endSession?writeKey=wk1", "", `{"anonymousId":"a"}`, 200, jsonType, "{\"sessionId\":null}\n", ""},
		"other in query": {"/v1/endSession?writeKey=wk2", "", `{"anonymousId":"a"}`, 401, textType, "invalid write key\n", ""},
		"empty in query": {"/v1/endSession?writeKey=", "", `{"anonymousId":"a"}`, 401, textType, "failed to read writekey from header\n", ""},
	} {
		for _, header := range []http.Header{nil, origin} {
			got := p.Send(t, proxytest.Request{Path: c.path, WriteKey: c.writeKey, Body: c.body, Header: header})
			checkCORS(t, name, got, header.Get("Origin"))
			if c.answer == "" {
				checkProblem(t, name, got, c.status, c.names)
				continue
			}
			if got.Status != c.status || got.Header.Get("Content-Type") != c.contentType || got.Body != c.answer {
				t.Errorf("%s: %d, %s, %q", name, got.Status, got.Header.Get("Content-Type"), got.Body)
			}
		}
	}
	p.Expect(t)
}

// TestAuthorization: forms of the header that the data plane accepts, and others.
func TestAuthorization(t *testing.T) {
	for name, c := range map[string]struct {
		header []string
		known  bool
	}{
		"Basic":            {[]string{"Basic d2sxOg=="}, true},
		"with a password":  {[]string{"Basic d2sxOnB3"}, true},
		"another case":     {[]string{"bAsIc d2sxOg=="}, true},
		"the first of two": {[]string{"Basic d2sxOg==", "Basic d2syOg=="}, true},
		"not the second":   {[]string{"Bearer x", "Basic d2sxOg=="}, false},
		"no colon":         {[]string{"Basic d2sx"}, false},
		"Bearer":           {[]string{"Bearer d2sxOg=="}, false},
		"no name":          {[]string{"Basic OnB3"}, false},
		"no base64":        {[]string{"Basic %%"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, proxytest.Setup{})
			p.Start(t, "a1", id1)
			header := http.Header{"Authorization": c.header}
			body := proxytest.Event("a1", "m1")
			p.Send(t, proxytest.Request{Path: "/v1/track", Body: body, Header: header})
			if c.known {
				p.Expect(t, "1234567890!")
			} else if a := p.Plane.Take(); len(a) != 1 || string(a[0].Body) != body {
				t.Errorf("arrived: %v", a)
			}
			want := http.StatusUnauthorized
			if c.known {
				want = http.StatusOK
			}
			if got := p.Send(t, proxytest.Request{Path: "/v1/endSession", Body: body, Header: header}); got.Status != want {
				t.Errorf("control call: %d", got.Status)
			}
		})
	}
}

func TestCurrentSession(t *testing.T) {
	p := run(t, proxytest.Setup{Session: "write_keys wk1 wk2\nsource wk2 {\n\tautomatic proxy\n}"})
	get := func(path, writeKey string) proxytest.Reply {
		t.Helper()
		got := p.Send(t, proxytest.Request{Method: http.MethodGet, Path: path, WriteKey: writeKey, Header: origin})
		checkCORS(t, path, got, "https://shop.example")
		return got
	}
	is := func(path, writeKey, want string) {
		t.Helper()
		if got := get(path, writeKey); got.Status != http.StatusOK || got.Body != `{"sessionId":`+want+"}\n" || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %q, want %s", path, got.Status, got.Body, want)
		}
	}
	is("/v1/session?anonymousId=a1", "wk1", "null")
	p.Start(t, "a1", id1)
	p.Post(t, "/v1/startSession", `{"userId":"u 1","sessionId":2345678901}`)
	is("/v1/session?anonymousId=a1", "wk1", "1234567890")
	is("/v1/session?anonymousId=%20a1", "wk1", "1234567890")
	is("/v1/session?anonymousId=a1&writeKey=wk1", "", "1234567890")
	is("/v1/session?anonymousId=a1&userId=u%201", "wk1", "1234567890")
	is("/v1/session?anonymousId=&userId=u%201", "wk1", "2345678901")
	is("/v1/session?userId=a1", "wk1", "null")
	is("/v1/session?anonymousId=a1", "wk2", "null")

	// None of them changed anything: the start mark is still free.
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	p.Expect(t, "1234567890!")
	p.Post(t, "/v1/endSession", `{"anonymousId":"a1"}`)
	is("/v1/session?anonymousId=a1", "wk1", "null")

	p.Send(t, proxytest.Request{Path: "/v1/track", WriteKey: "wk2", Body: proxytest.Event("a1", "m2")})
	id := strings.TrimSuffix(proxytest.Messages(t, p.Plane.Take()...)[0].Session(), "!")
	is("/v1/session?anonymousId=a1", "wk2", id)

	checkProblem(t, "no id", get("/v1/session", "wk1"), http.StatusBadRequest, "anonymousId")
	for path, want := range map[string]string{"/v1/session": "failed to read writekey from header\n", "/v1/session?writeKey=x": "invalid write key\n"} {
		if got := get(path, ""); got.Status != http.StatusUnauthorized || got.Body != want {
			t.Errorf("%s: %d %q", path, got.Status, got.Body)
		}
	}
	p.Expect(t)
}

// TestOtherRequestsPass: methods and paths that the proxy does not handle.
func TestOtherRequestsPass(t *testing.T) {
	p := run(t, proxytest.Setup{Session: "automatic proxy"})
	p.Plane.Reply(http.StatusNotFound, "404 page not found\n")
	paths := []string{
		"/v1/track", "/v1/batch", "/v1/startSession", "/v1/endSession", "/beacon/v1/batch?writeKey=wk1", "/v1/session?anonymousId=a1",
		"/v1/track/", "//v1/track", "/v1/%74rack", "/V1/track", "/v1/./track", "/v1//track", "/x/../v1/track", "/v1/track%2F", "/v1/track;x",
		"//v1/startSession", "/v1/start%53ession", "/v1/startSession/", "/v1/STARTSESSION", "/v1/session/", "//v1/session",
		"/", "/health", "/version", "/sourceConfig/?writeKey=x", "/pixel/v1/track?writeKey=wk1&anonymousId=a1&context.sessionId=5", "/v1/webhook?writeKey=wk1",
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACK"} {
		for i, path := range paths {
			handled := method == "POST" && i < 5 || method == "GET" && strings.HasPrefix(path, "/v1/session?")
			if handled {
				continue
			}
			body := ""
			if method != "GET" && method != "HEAD" {
				body = proxytest.Event("a1", "m1")
			}
			got := p.Send(t, proxytest.Request{Method: method, Path: path, WriteKey: "wk1", Body: body, Header: origin})
			if got.Status != http.StatusNotFound || method != "HEAD" && got.Body != "404 page not found\n" {
				t.Errorf("%s %s: %d %q", method, path, got.Status, got.Body)
			}
			a := p.Plane.Take()
			if len(a) != 1 || a[0].Method != method || a[0].URI != path || string(a[0].Body) != body {
				t.Errorf("%s %s: arrived as %+v", method, path, a)
			}
		}
	}
	got := p.Send(t, proxytest.Request{Method: "GET", Path: "/v1/session?anonymousId=a1", WriteKey: "wk1"})
	if got.Body != "{\"sessionId\":null}\n" {
		t.Errorf("a session was begun: %s", got.Body)
	}
}
