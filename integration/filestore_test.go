package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// inFile is the global option that keeps sessions in a file, with options in its block.
func inFile(path string, options ...string) string {
	return fmt.Sprintf("rudder_session {\nstore file %q {\n%s\n}\n}", path, strings.Join(options, "\n"))
}

// stopCaddy stops Caddy as on a termination signal.
func (p *proxy) stopCaddy(t *testing.T) {
	t.Helper()
	p.Client.CloseIdleConnections()
	proxytest.Serving.Wait(0)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
}

// stored returns the sessions that would be in a file in use after a crash.
func stored(t *testing.T, path string) (sessions []*session.Session) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(copied, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := filestore.Open(copied, filestore.Log{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Scan(t.Context(), func(_ string, v *session.Session) error {
		sessions = append(sessions, v)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return sessions
}

// TestFileByDefault: by default sessions are kept in a file that only its owner can read.
func TestFileByDefault(t *testing.T) {
	p := run(t, proxytest.Setup{})
	p.Start(t, "a1", id1)
	path := filepath.Join(p.Storage, "caddy", "rudder_session", "sessions.db")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	// The call is on the disk when it is answered.
	if found := stored(t, path); len(found) != 1 || found[0].Segments[0].ID != id1 {
		t.Errorf("stored: %+v", found)
	}
	p.stopCaddy(t)
	p.mustLoad(t, proxytest.Setup{})
	if got := p.current(t, "a1"); got != "1234567890" {
		t.Errorf("session %q after a restart", got)
	}
}

// TestStopWritesAll: pending changes are written when Caddy is told to stop.
func TestStopWritesAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	s := proxytest.Setup{Global: inFile(path, "flush_interval 1h"), Session: "automatic proxy"}
	p := run(t, s)
	const users = 300
	p.Start(t, "manual", id1)
	p.Post(t, "/v1/track", proxytest.Event("manual", "m1"))
	p.Expect(t, "1234567890!")
	ids := map[string]string{}
	var batch []string
	for i := range users {
		batch = append(batch, proxytest.Event(fmt.Sprint("a", i), "m1"))
	}
	p.Post(t, "/v1/batch", `{"batch":[`+strings.Join(batch, ",")+`]}`)
	for _, m := range proxytest.Messages(t, p.Plane.Take()...) {
		ids[m.AnonymousID] = m.Session()
		if !strings.HasSuffix(m.Session(), "!") {
			t.Errorf("%s: %s", m.AnonymousID, m.Session())
		}
	}
	if found := stored(t, path); len(found) != 1+users {
		t.Errorf("%d sessions are on the disk, and %d began", len(found), 1+users)
	}
	for range 3 {
		p.stopCaddy(t)
		p.mustLoad(t, s)
		// The mark is on m1, and stays there.
		p.Post(t, "/v1/track", proxytest.Event("manual", "m2"))
		p.Post(t, "/v1/track", proxytest.Event("manual", "m1"))
		p.Expect(t, "1234567890", "1234567890!")
		p.Post(t, "/v1/batch", `{"batch":[`+strings.Join(batch, ",")+`]}`)
		for _, m := range proxytest.Messages(t, p.Plane.Take()...) {
			if ids[m.AnonymousID] != m.Session() {
				t.Errorf("%s: %s, before %s", m.AnonymousID, m.Session(), ids[m.AnonymousID])
			}
		}
	}
}

// TestPathChanges: each file has its own sessions, and still has them when it is used
// again.
func TestPathChanges(t *testing.T) {
	dir := t.TempDir()
	one := proxytest.Setup{Global: inFile(filepath.Join(dir, "one.db"))}
	two := proxytest.Setup{Global: inFile(filepath.Join(dir, "two.db"))}
	p := run(t, one)
	p.Start(t, "a1", id1)
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	p.Expect(t, "1234567890!")
	for range 3 {
		p.mustLoad(t, two)
		if got := p.current(t, "a1"); got != "" && got != "1234567891" {
			t.Errorf("session %q in the other file", got)
		}
		p.Start(t, "a1", id1+1)
		p.mustLoad(t, proxytest.Setup{Global: inFile(dir + "/./x/../one.db")})
		p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
		p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
		p.Expect(t, "1234567890", "1234567890!")
	}
}

// TestFileReloads reloads while clients send requests, from one file to another and
// back, and with other options for the same file: no reload finds a file locked, and no
// session changes.
func TestFileReloads(t *testing.T) {
	const reloads, clients = 40, 8
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "one.db"), filepath.Join(dir, "two.db")}
	p := run(t, proxytest.Setup{Global: inFile(paths[1])})
	p.Client.Transport.(*http.Transport).MaxIdleConnsPerHost = clients
	for i, path := range []string{paths[1], paths[0]} {
		p.mustLoad(t, proxytest.Setup{Global: inFile(path)})
		for c := range clients {
			p.Start(t, fmt.Sprint("a", c), int64(id1+100*(1-i)+c))
		}
	}
	proxytest.Serving.Reset()
	received := p.Now
	var stop atomic.Bool
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			for i := 0; !stop.Load(); i++ {
				got, err := p.Try(proxytest.Request{Path: "/v1/track", WriteKey: "wk1", Body: proxytest.Event(fmt.Sprint("a", c), fmt.Sprint("m", i)), Received: received})
				// A connection may be lost when one listener takes over from another.
				if err == nil && (got.Status != http.StatusOK || got.Body != "ok") {
					t.Errorf("answered %d %q", got.Status, got.Body)
				}
			}
		})
	}
	for i := range reloads {
		proxytest.Serving.WaitBegun(i * clients)
		interval := []string{"", "flush_interval 1ms", "flush_interval 10s"}[i%3]
		if err := p.Load(t, proxytest.Setup{Global: inFile(paths[i/2%2], interval), Session: "on_store_error reject"}); err != nil {
			t.Error(err)
			break
		}
	}
	stop.Store(true)
	group.Wait()
	marks := map[string]string{}
	all := proxytest.Messages(t, p.Plane.Take()...)
	for _, m := range all {
		var c int
		fmt.Sscanf(m.AnonymousID, "a%d", &c)
		id, marked := strings.CutSuffix(m.Session(), "!")
		if id != fmt.Sprint(id1+c) && id != fmt.Sprint(id1+100+c) {
			t.Errorf("%s %s has session %q", m.AnonymousID, m.MessageID, m.Session())
		}
		if other, ok := marks[id]; marked && ok && other != m.MessageID {
			t.Errorf("%s has start marks on %s and %s", id, other, m.MessageID)
		} else if marked {
			marks[id] = m.MessageID
		}
	}
	t.Logf("%d events arrived, %d sessions were seen", len(all), len(marks))
}

// TestTwoSitesOneFile: sites of one Caddy share its sessions.
func TestTwoSitesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	s := proxytest.Setup{Global: inFile(path), More: "http://:$PORT2 {\n\ttest_clock\n\t" + proxytest.Directives + "\n}"}
	p := run(t, s)
	other := *p.Proxy
	second := &proxy{&other}
	second.Port = p.Port2
	for round := range 2 {
		p.Start(t, "a1", id1)
		second.Now = p.Now
		second.Post(t, "/v1/track", proxytest.Event("a1", fmt.Sprint("m", round)))
		p.Now = second.Now
		p.Post(t, "/v1/track", proxytest.Event("a1", fmt.Sprint("n", round)))
		p.Expect(t, "1234567890!", "1234567890")
		second.Now = p.Now
		second.Post(t, "/v1/endSession", `{"anonymousId":"a1"}`)
		p.Now = second.Now
		if got := p.current(t, "a1"); got != "" {
			t.Errorf("session %q after it was ended", got)
		}
		p.stopCaddy(t)
		p.mustLoad(t, s)
		second.Reloaded = true
		if got := second.current(t, "a1"); got != "" {
			t.Errorf("session %q after a restart", got)
		}
	}
}

// TestFlushIntervalChanges: when the interval is made shorter, changes that wait for the
// longer one are written.
func TestFlushIntervalChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	s := proxytest.Setup{Global: inFile(path, "flush_interval 1h"), Session: "automatic proxy"}
	p := run(t, s)
	// longer is the length of the stored session.
	longer := func() int64 {
		segment := stored(t, path)[0].Segments[0]
		return segment.Last.Time - segment.From.Time
	}
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	p.Now = p.Now.Add(time.Minute)
	p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
	if n := longer(); n > 1000 {
		t.Errorf("it is known to last for %d ms", n)
	}
	s.Global = inFile(path, "flush_interval 1ms")
	p.mustLoad(t, s)
	redistest.Await(t, "it is written", func() bool { return longer() >= 60_000 })
	// Pending changes, and later ones.
	p.Now = p.Now.Add(time.Minute)
	p.Post(t, "/v1/track", proxytest.Event("a1", "m3"))
	redistest.Await(t, "it is written", func() bool { return longer() >= 120_000 })
	p.Post(t, "/v1/track", proxytest.Event("a2", "m1"))
	s.Global = inFile(path, "flush_interval 1h")
	p.mustLoad(t, s)
	p.mustLoad(t, proxytest.Setup{Site: "reverse_proxy $UPSTREAM"})
	proxytest.Serving.Wait(0)
	if found := stored(t, path); len(found) != 2 {
		t.Errorf("stored: %+v", found)
	}
}
