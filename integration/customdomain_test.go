package integration_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/rudder-session/rudder-session/internal/freeport"
	"github.com/rudder-session/rudder-session/internal/proxytest"
)

var customDomains = []string{"deploy/Caddyfile.custom-domain", "deploy/Caddyfile.custom-domain-self-hosted"}

// tlsUpstream stands in for a server of RudderStack: it has a certificate for localhost,
// and records the requests and the host names in them.
type tlsUpstream struct {
	name, url string
	mu        sync.Mutex
	came      []*came
}

type came struct {
	upstream, host, sni, proto, method, uri string
	header                                  http.Header
	body                                    string
}

func newTLSUpstream(t *testing.T, name, cert, key string, answer http.HandlerFunc) *tlsUpstream {
	t.Helper()
	u := &tlsUpstream{name: name}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c := &came{name, r.Host, r.TLS.ServerName, r.Proto, r.Method, r.RequestURI, r.Header, string(body)}
		u.mu.Lock()
		u.came = append(u.came, c)
		u.mu.Unlock()
		answer(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	u.url = "https://" + u.address(server)
	return u
}

func (u *tlsUpstream) address(server *httptest.Server) string {
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	return net.JoinHostPort("localhost", port)
}

// take returns the requests since the last call of take.
func (u *tlsUpstream) take() []*came {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.came
	u.came = nil
	return taken
}

// TestCustomDomain runs the recipes unchanged, in a process that trusts the upstreams'
// certificates, and checks which upstream each request reaches, and how.
func TestCustomDomain(t *testing.T) {
	for _, file := range customDomains {
		t.Run(filepath.Base(file), func(t *testing.T) { testCustomDomain(t, file) })
	}
}

func testCustomDomain(t *testing.T, file string) {
	text := readText(t, file)
	cert, key := selfSigned(t)
	cdn := newTLSUpstream(t, "cdn", cert, key, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600, public")
		w.Header().Set("Etag", `"sdk"`)
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if r.Header.Get("If-None-Match") == `"sdk"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		http.ServeContent(w, r, "rsa.js", time.Time{}, strings.NewReader("export {}"))
	})
	control := newTLSUpstream(t, "control plane", cert, key, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Headers", "authorization")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answering(http.StatusOK, withDataPlanes, "Etag", `"config"`)(w, r)
	})
	data := newTLSUpstream(t, "data plane", cert, key, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })

	p := runCustomDomain(t, text, cert, map[string]string{
		"RUDDERSTACK_CDN_URL": cdn.url, "RUDDERSTACK_CONTROL_PLANE_URL": control.url, "RUDDERSTACK_DATA_PLANE_URL": data.url,
	})
	full := strings.Contains(text, "RUDDERSTACK_CDN_URL")
	keeps := strings.Contains(text, "keep_encoding")
	toCDN := data
	if full {
		toCDN = cdn
	}
	zipped := proxytest.Zip(t, proxytest.Event("a1", "m1"))
	for _, c := range []struct {
		method, path, body string
		header             http.Header
		to                 *tlsUpstream
		status             int
		answer             string
	}{
		{"GET", "/v3/modern/rsa.min.js", "", nil, toCDN, 200, "export {}"},
		{"GET", "/v3/modern/rsa.min.js", "", http.Header{"If-None-Match": {`"sdk"`}}, toCDN, 304, ""},
		{"GET", "/v3/legacy/plugins/rsa-plugins.js?x=%2F", "", http.Header{"Origin": {"https://www"}}, toCDN, 200, "export {}"},
		{"HEAD", "/v1.1/rudder-analytics.min.js", "", nil, toCDN, 200, ""},
		{"GET", "/v1.1/js-integrations/GA4.min.js", "", nil, toCDN, 200, "export {}"},
		{"GET", "/3.34.1/modern/plugins/rsa-plugins.js", "", nil, toCDN, 200, "export {}"},
		{"GET", "/3.0.0-beta.12/rsa.js", "", http.Header{"Range": {"bytes=0-5"}}, toCDN, 206, "export"},
		{"GET", "/sourceConfig/?p=web&v=3.34.1&writeKey=wk1", "", nil, control, 200, withoutThem},
		{"GET", "/sourceConfig?p=android&v=1.28.0&bv=34", "", http.Header{"If-None-Match": {`"config"`}}, control, 200, withoutThem},
		{"OPTIONS", "/sourceConfig/", "", http.Header{"Origin": {"https://www"}, "Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Headers": {"authorization"}}, control, 204, ""},
		{"POST", "/v1/startSession", `{"anonymousId":"a1","sessionId":1234567890}`, nil, nil, 200, "{\"sessionId\":1234567890}\n"},
		{"GET", "/v1/session?anonymousId=a1", "", nil, nil, 200, "{\"sessionId\":1234567890}\n"},
		{"POST", "/v1/track", zipped, http.Header{"Content-Encoding": {"gzip"}}, data, 200, "ok"},
		{"POST", "/v1/track", proxytest.Event("a1", "m2"), nil, data, 200, "ok"},
		{"POST", "/v1/track", proxytest.Zip(t, proxytest.Event("a2", "m3")), http.Header{"Content-Encoding": {"gzip"}}, data, 200, "ok"},
		{"OPTIONS", "/v1/track", "", http.Header{"Origin": {"https://www"}, "Access-Control-Request-Method": {"POST"}}, data, 200, "ok"},
		{"POST", "/beacon/v1/batch?writeKey=wk1", `{"batch":[` + proxytest.Event("a1", "m4") + `]}`, nil, data, 200, "ok"},
		{"GET", "/pixel/v1/page?writeKey=wk1&a=%2F", "", nil, data, 200, "ok"},
		{"POST", "/rsaMetrics", "{}", nil, data, 200, "ok"},
		{"GET", "/v1/x", "", nil, data, 200, "ok"},
		{"GET", "/health", "", nil, data, 200, "ok"},
	} {
		r, err := http.NewRequest(c.method, "http://"+p.Address()+c.path, bytes.NewReader([]byte(c.body)))
		if err != nil {
			t.Fatal(err)
		}
		if c.header != nil {
			r.Header = c.header.Clone()
		}
		r.Header.Set("Cookie", "rl_session=x")
		r.SetBasicAuth("wk1", "")
		got, err := proxytest.Exchange(p.Client, r)
		if err != nil {
			t.Fatal(err)
		}
		what := c.method + " " + c.path
		if c.to != data || c.answer == "ok" {
			if got.Status != c.status || got.Body != c.answer {
				t.Errorf("%s: %d %q, want %d %q", what, got.Status, got.Body, c.status, c.answer)
			}
		}
		var all []*came
		for _, u := range []*tlsUpstream{cdn, control, data} {
			all = append(all, u.take()...)
		}
		if c.to == nil {
			if len(all) > 0 {
				t.Errorf("%s reached the %s", what, all[0].upstream)
			}
			continue
		}
		if len(all) != 1 || all[0].upstream != c.to.name {
			t.Fatalf("%s: %d requests reached %+v, not the %s", what, len(all), all, c.to.name)
		}
		a := all[0]
		if a.host != strings.TrimPrefix(c.to.url, "https://") || a.sni != "localhost" || a.proto != "HTTP/2.0" || a.method != c.method || a.uri != c.path {
			t.Errorf("%s came as %s %s with Host %s and server name %s, %s", what, a.method, a.uri, a.host, a.sni, a.proto)
		}
		if key, _, _ := (&http.Request{Header: a.header}).BasicAuth(); key != "wk1" {
			t.Errorf("%s lost its write key", what)
		}
		if (a.header.Get("Cookie") != "") != (c.to == data) {
			t.Errorf("%s: Cookie %q", what, a.header["Cookie"])
		}
		if a.header.Get("X-Forwarded-For") != "127.0.0.1" || a.header.Get("X-Forwarded-Host") != p.Address() {
			t.Errorf("%s: X-Forwarded-For %q, X-Forwarded-Host %q", what, a.header["X-Forwarded-For"], a.header["X-Forwarded-Host"])
		}
		switch {
		case c.to == cdn && got.Header.Get("Cache-Control") != "max-age=3600, public":
			t.Errorf("%s: Cache-Control %q", what, got.Header["Cache-Control"])
		case c.body == zipped:
			if encoding := a.header.Get("Content-Encoding"); (encoding == "gzip") != keeps {
				t.Errorf("%s: Content-Encoding %q", what, encoding)
			}
			fallthrough
		case strings.Contains(c.body, "a1"):
			if text := proxytest.Unzip(t, &proxytest.Arrival{Header: a.header, Body: []byte(a.body)}); !strings.Contains(text, `"sessionId":1234567890`) {
				t.Errorf("%s came as %s", what, text)
			}
		case a.body != c.body:
			t.Errorf("%s: its body was changed", what)
		}
	}
}

// runCustomDomain runs a recipe unchanged in a process that trusts a certificate.
func runCustomDomain(t *testing.T, text, cert string, env map[string]string) *proxytest.Process {
	t.Helper()
	t.Setenv("SSL_CERT_FILE", cert)
	for name, value := range env {
		t.Setenv(name, value)
	}
	return proxytest.StartProcess(t, func(p *proxytest.Process) string {
		t.Setenv("RUDDER_SESSION_SITE", fmt.Sprintf("http://:%d", p.Port))
		t.Setenv("CADDY_ADMIN", fmt.Sprintf("127.0.0.1:%d", freeport.Claim(t)))
		return text
	})
}

// TestCustomDomainFiles: the recipes are formatted, load as they are, without
// warnings, and with the names that their comments and the documentation say.
func TestCustomDomainFiles(t *testing.T) {
	docs := readText(t, "docs/custom-domain.md")
	for _, file := range customDomains {
		t.Setenv("XDG_DATA_HOME", t.TempDir())
		text := readText(t, file)
		if string(caddyfile.Format([]byte(text))) != text {
			t.Errorf("%s is not formatted; run caddy fmt", file)
		}
		adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": file})
		if err != nil {
			t.Fatal(err)
		}
		if len(warnings) > 0 {
			t.Errorf("%s: %v", file, warnings)
		}
		for _, l := range listenAddresses(t, adapted) {
			if !strings.HasPrefix(l, "127.0.0.1:") {
				t.Errorf("%s, as it is, listens on %s", file, l)
			}
		}
		if err := caddy.Validate(parseConfig(t, quietConfig(t, adapted))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		comment, _, _ := strings.Cut(text, "{\n")
		for _, m := range regexp.MustCompile(`\{\$([A-Z_]+)`).FindAllStringSubmatch(text, -1) {
			if m[1] != "RUDDER_SESSION_BIND" && !strings.Contains(comment, m[1]) {
				t.Errorf("%s does not say what %s is", file, m[1])
			}
			if !strings.Contains(docs, "`"+m[1]+"`") {
				t.Errorf("docs/custom-domain.md does not say what %s is", m[1])
			}
		}
		if !strings.Contains(docs, "../"+file) {
			t.Errorf("docs/custom-domain.md does not name %s", file)
		}
	}
}

// TestHostedDataPlane: the example and the image's Caddyfile accept the HTTPS URL of a
// data plane as it is.
func TestHostedDataPlane(t *testing.T) {
	cert, key := selfSigned(t)
	for _, file := range []string{"Caddyfile.example", "deploy/Caddyfile"} {
		t.Run(file, func(t *testing.T) {
			data := newTLSUpstream(t, "data plane", cert, key, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
			t.Setenv("RUDDER_SESSION_ECHO_PORT", fmt.Sprint(freeport.Claim(t)))
			// Fixed ports may be in use by other tests.
			text := strings.ReplaceAll(readText(t, file), "http://:8081", fmt.Sprintf("http://:%d", freeport.Claim(t)))
			text = strings.Replace(text, "admin 127.0.0.1:2019", "admin off", 1)
			p := runCustomDomain(t, text, cert, map[string]string{"RUDDERSTACK_DATA_PLANE_URL": data.url})
			if got, err := p.Send("/v1/track", proxytest.Event("a1", "m1")); err != nil || got.Status != http.StatusOK || got.Body != "ok" {
				t.Fatal(got, err)
			}
			came := data.take()
			if len(came) != 1 || came[0].host != strings.TrimPrefix(data.url, "https://") || came[0].sni != "localhost" || came[0].proto != "HTTP/2.0" || came[0].uri != "/v1/track" {
				t.Errorf("%+v", came)
			}
		})
	}
}

// TestDataPlaneBelowAPath: the configuration in docs/deployment.md for such a data plane
// leaves the rest of a request unchanged.
func TestDataPlaneBelowAPath(t *testing.T) {
	blocks := fencedBlocks(t, "docs/deployment.md")
	at := slices.IndexFunc(blocks, func(b fencedBlock) bool { return strings.Contains(b.text, "rewrite * /ingest") })
	if at < 0 {
		t.Fatal("docs/deployment.md shows none")
	}
	_, site, _ := strings.Cut(strings.TrimSuffix(blocks[at].text, "}\n"), "{\n")
	p := run(t, proxytest.Setup{Site: strings.Replace(site, "https://data.example.com", "$UPSTREAM", 1)})
	p.Start(t, "a1", 1234567890)
	// Caddy decodes %2F to a slash; no endpoint has an escaped one in its path.
	for _, path := range []string{"/v1/track", "/v1/track?a=b%20c&d", "/beacon/v1/batch?writeKey=w%2Fk", "/a/b/c%20d?e=%26"} {
		body := proxytest.Event("a1", "m1")
		if strings.HasPrefix(path, "/beacon") {
			body = `{"batch":[` + body + `]}`
		}
		if got := p.Post(t, path, body); got.Status != http.StatusOK {
			t.Error(got)
		}
		if a := p.Plane.Take(); len(a) != 1 || a[0].URI != "/ingest"+path {
			t.Errorf("%s arrived as %v", path, a[0].URI)
		} else if path == "/v1/track" && !strings.Contains(string(a[0].Body), "1234567890") {
			t.Errorf("arrived: %s", a[0].Body)
		}
	}
}
