package integration_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestAbortedUploads: an incomplete body is the client's error. The client gets an
// answer, if it can still read one, and the log has neither an error nor a write key.
func TestAbortedUploads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	p := run(t, proxytest.Setup{
		Global: "log everything {\noutput file " + file + "\nlevel INFO\n}\nservers {\ntimeouts {\nread_body 1s\n}\n}",
		Site:   "test_gone\n" + proxytest.Directives,
	})
	p.leave(t, "resets", "/v1/startSession?writeKey=secret", `{"anonymousId":"a1"}`)
	proxytest.Serving.Wait(1)
	const origin = "Origin: https://shop.example"
	for _, path := range []string{"/beacon/v1/batch?writeKey=secret", "/v1/endSession?writeKey=secret", "/v1/track?writeKey=secret"} {
		for name, c := range map[string]struct {
			text       string
			halfCloses bool
			status     int
		}{
			"ends early":         {head(path, origin, "Content-Length: 100\r\n") + "{", true, 499},
			"ends early, chunks": {head(path, origin, "Transfer-Encoding: chunked\r\n") + "5\r\n{", true, 499},
			"no chunks":          {head(path, origin, "Transfer-Encoding: chunked\r\n") + "secret\r\n", false, 499},
			"does not go on":     {head(path, origin, "Content-Length: 100\r\n") + "{", false, http.StatusRequestTimeout},
		} {
			name = path + ", " + name
			conn := p.dial(t)
			io.WriteString(conn, c.text)
			if c.halfCloses {
				conn.CloseWrite()
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			body, err := io.ReadAll(response.Body)
			got := proxytest.Reply{Status: response.StatusCode, Header: response.Header, Body: string(body)}
			if err != nil || got.Status != c.status || got.Body != "the body did not come whole\n" {
				t.Errorf("%s: answered %d %q, %v", name, got.Status, got.Body, err)
			}
			checkCORS(t, name, got, "https://shop.example")
		}
	}
	p.Expect(t)
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "a client did not send its body whole") {
			told++
		}
		if strings.Contains(line, `"level":"error"`) || strings.Contains(line, "secret") {
			t.Errorf("logged: %s", line)
		}
	}
	if told == 0 {
		t.Error("nothing is logged")
	}
}

// TestMemoryFollowsWhatHasCome: memory is allocated for the bytes that have arrived,
// not for the length that clients announce.
func TestMemoryFollowsWhatHasCome(t *testing.T) {
	const clients, each = 400, 160 << 10
	p := run(t, proxytest.Setup{})
	proxytest.Serving.Reset()
	before := heapInUse()
	for range clients {
		io.WriteString(p.dial(t), head("/v1/batch", fmt.Sprintf("Content-Length: %d\r\n", 4_000_000))+"{")
	}
	proxytest.Serving.WaitBegun(clients)
	// This includes the connections, and Caddy's own memory for each request.
	if grown := heapInUse() - before; grown > clients*each {
		t.Errorf("%d clients that sent a byte take %d bytes", clients, grown)
	} else {
		t.Logf("%d clients that sent a byte take %d bytes", clients, grown)
	}
}
