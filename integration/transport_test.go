package integration_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestTransports sends changed and unchanged bodies over every protocol, with
// and without a length, compressed and plain.
func TestTransports(t *testing.T) {
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	cert, key := selfSigned(t)
	p := run(t, proxytest.Setup{
		Global: "servers {\n\tprotocols h1 h2 h2c h3\n}",
		More:   fmt.Sprintf("https://localhost:$PORT2 {\n\ttest_clock\n\ttls %s %s\n\trudder_session\n\treverse_proxy $UPSTREAM\n}", cert, key),
	})
	n := 0
	for _, c := range p.clients(t) {
		for _, length := range []bool{true, false} {
			for _, zipped := range []bool{false, true} {
				for _, changed := range []bool{true, false} {
					n++
					name := fmt.Sprintf("%s/length=%v/gzip=%v/changed=%v", c.name, length, zipped, changed)
					t.Run(name, func(t *testing.T) {
						anonymousID := fmt.Sprintf("a%d", n)
						if changed {
							p.Start(t, anonymousID, 1234567890)
						}
						p.transport(t, c, anonymousID, length, zipped, changed)
					})
				}
			}
		}
		t.Run(c.name+"/no body", func(t *testing.T) {
			r, _ := http.NewRequest(http.MethodPost, c.url+"/v1/track", nil)
			r.SetBasicAuth("wk1", "")
			got, err := proxytest.Exchange(c.Client, r)
			if err != nil || got.Status != http.StatusOK {
				t.Fatal(got, err)
			}
			if a := p.Plane.Take(); len(a) != 1 || len(a[0].Body) > 0 || a[0].Err != nil {
				t.Errorf("arrived: %v", a)
			}
		})
	}
}

func (p *proxy) transport(t *testing.T, c namedClient, anonymousID string, length, zipped, changed bool) {
	plain := proxytest.Event(anonymousID, "m1")
	body := plain
	if zipped {
		body = proxytest.Zip(t, plain)
	}
	r, err := http.NewRequest(http.MethodPost, c.url+"/v1/track", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("wk1", "")
	r.Header.Set("AnonymousId", "eHh4")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if zipped {
		r.Header.Set("Content-Encoding", "gzip")
	}
	if !length {
		r.ContentLength, r.Body = -1, io.NopCloser(strings.NewReader(body))
	}
	got, err := proxytest.Exchange(c.Client, r)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != http.StatusOK || got.Body != "ok" || got.Proto != c.proto {
		t.Errorf("answer %d %q over %s", got.Status, got.Body, got.Proto)
	}
	arrivals := p.Plane.Take()
	if len(arrivals) != 1 {
		t.Fatalf("%d requests arrived", len(arrivals))
	}
	a := arrivals[0]
	for name, want := range map[string]string{"AnonymousId": "eHh4", "Content-Type": "application/x-www-form-urlencoded", "Authorization": r.Header.Get("Authorization")} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s is %q, was %q", name, got, want)
		}
	}
	if !changed {
		if string(a.Body) != body || a.Header.Get("Content-Encoding") != r.Header.Get("Content-Encoding") {
			t.Errorf("changed to %q (%s)", a.Body, a.Header.Get("Content-Encoding"))
		}
		if length && a.ContentLength != int64(len(body)) {
			t.Errorf("Content-Length %d, sent %d", a.ContentLength, len(body))
		}
		return
	}
	if a.ContentLength != int64(len(a.Body)) || len(a.TransferEncoding) > 0 {
		t.Errorf("Content-Length %d, Transfer-Encoding %v, of %d bytes", a.ContentLength, a.TransferEncoding, len(a.Body))
	}
	if m := proxytest.Messages(t, a)[0]; m.Session() != "1234567890!" {
		t.Errorf("session %q", m.Session())
	}
	without := strings.NewReplacer(`"sessionId":1234567890`, "", `"sessionStart":true`, "", ",", "")
	if got, want := without.Replace(proxytest.Unzip(t, a)), without.Replace(plain); got != want {
		t.Errorf("besides the fields it is %q, was %q", got, want)
	}
}

type namedClient struct {
	name, proto, url string
	*http.Client
}

// clients returns a client for each version of HTTP, with the plain site and with the
// site on $PORT2, which has TLS.
func (p *proxy) clients(t *testing.T) []namedClient {
	t.Helper()
	secure := fmt.Sprintf("https://localhost:%d", p.Port2)
	insecure := &tls.Config{InsecureSkipVerify: true}
	h2c, h2 := new(http.Protocols), new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	h2.SetHTTP2(true)
	of := func(name, proto, url string, transport *http.Transport) namedClient {
		transport.DisableCompression = true
		t.Cleanup(transport.CloseIdleConnections)
		return namedClient{name, proto, url, &http.Client{Transport: transport}}
	}
	return []namedClient{
		of("h1", "HTTP/1.1", p.URL(""), &http.Transport{}),
		of("h1 tls", "HTTP/1.1", secure, &http.Transport{TLSClientConfig: insecure}),
		of("h2c", "HTTP/2.0", p.URL(""), &http.Transport{Protocols: h2c}),
		of("h2", "HTTP/2.0", secure, &http.Transport{Protocols: h2, TLSClientConfig: insecure}),
		{"h3", "HTTP/3.0", secure, &http.Client{Transport: http3(t)}},
	}
}

// http3 is an HTTP/3 client: the one that Caddy itself uses for upstreams.
func http3(t *testing.T) http.RoundTripper {
	t.Helper()
	transport := &reverseproxy.HTTPTransport{
		Versions: []string{"3"},
		TLS:      &reverseproxy.TLSConfig{InsecureSkipVerify: true},
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	if err := transport.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { transport.Cleanup() })
	return transport
}

// selfSigned writes a certificate for localhost, and its key.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: public}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
