package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// withRedis is the global option for a server.
func withRedis(urls []string, more string) string {
	return fmt.Sprintf("rudder_session {\nstore redis %s {\n%s\n}\n}", strings.Join(urls, " "), more)
}

// arrives sends an event, and returns the session with which it reached the data plane;
// "unchanged" if it arrived as it was sent, "none" if it did not arrive.
func (p *proxy) arrives(t *testing.T, anonymousID, messageID string) string {
	t.Helper()
	body := proxytest.Event(anonymousID, messageID)
	p.Post(t, "/v1/track", body)
	a := p.Plane.Take()
	switch {
	case len(a) == 0:
		return "none"
	case string(a[0].Body) == body:
		return "unchanged"
	}
	return proxytest.Messages(t, a...)[0].Session()
}

// TestRedisFaults tries several faults of a server, with each value of on_store_error.
func TestRedisFaults(t *testing.T) {
	type fault struct {
		begin, end func(*redistest.Server)
		// known and unmarked say whether events of a session in memory succeed: one that
		// changes nothing, and one that takes the mark.
		known, unmarked bool
	}
	for name, f := range map[string]fault{
		"down":    {(*redistest.Server).Kill, (*redistest.Server).Restart, false, false},
		"stopped": {(*redistest.Server).Pause, (*redistest.Server).Resume, true, false},
		"read-only": {
			func(s *redistest.Server) { s.Do("REPLICAOF", "127.0.0.1", "1") },
			func(s *redistest.Server) { s.Do("REPLICAOF", "NO", "ONE") }, true, false,
		},
		"out of memory": {
			func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", "1") },
			func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", "0") }, true, false,
		},
	} {
		for _, mode := range []string{"pass", "reject"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
				p := run(t, proxytest.Setup{
					Global:  withRedis([]string{server.URL()}, "timeout 200ms"),
					Session: "automatic off\non_store_error " + mode,
				})
				p.Start(t, "a1", id1)
				p.Start(t, "a2", id1+1)
				if got := p.arrives(t, "a1", "m1"); got != "1234567890!" {
					t.Fatalf("before: %q", got)
				}
				f.begin(server)
				doubt := map[string]string{"pass": "unchanged", "reject": "none"}[mode]
				if f.known {
					if got := p.arrives(t, "a1", "m2"); got != "1234567890" {
						t.Errorf("an event of a known session: %q", got)
					}
				}
				if got := p.arrives(t, "a2", "m3"); got != doubt {
					t.Errorf("an event that takes the start mark: %q, not %q", got, doubt)
				}
				for _, path := range []string{"/v1/startSession", "/v1/endSession", "/v1/resetSession"} {
					checkProblem(t, path, p.Post(t, path, `{"anonymousId":"a1"}`), http.StatusServiceUnavailable, "")
				}
				body := `{"batch":[{"type":"startSession","anonymousId":"a1"},` + proxytest.Event("a1", "m4") + `]}`
				checkProblem(t, "batch", p.Post(t, "/v1/batch", body), http.StatusServiceUnavailable, "")
				p.Expect(t)
				f.end(server)
				redistest.Await(t, "sessions are read again", func() bool {
					got := p.Send(t, proxytest.Request{Method: "GET", Path: "/v1/session?anonymousId=a1", WriteKey: "wk1"})
					return got.Status == http.StatusOK
				})
				if got := p.current(t, "a1"); got != "1234567890" {
					t.Errorf("a control call that failed has changed the session to %s", got)
				}
				redistest.Await(t, "a session is started again", func() bool {
					got := p.Post(t, "/v1/startSession", `{"anonymousId":"a3"}`)
					return got.Status == http.StatusOK
				})
				for i, want := range []string{"1234567890", "1234567891!", "1234567891"} {
					user := map[bool]string{true: "a1", false: "a2"}[i == 0]
					if got := p.arrives(t, user, fmt.Sprint("after ", i)); got != want {
						t.Errorf("afterwards: %q, not %q", got, want)
					}
				}
			})
		}
	}
}

// TestCaddyStartsWithoutRedis: events are not delayed while Redis is not there yet.
func TestCaddyStartsWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	p := run(t, proxytest.Setup{Global: withRedis([]string{server.URL()}, "timeout 1s")})
	if got := p.arrives(t, "a1", "m1"); got != "unchanged" {
		t.Errorf("%q", got)
	}
	server.Restart()
	redistest.Await(t, "a session is started", func() bool {
		return p.Post(t, "/v1/startSession", `{"anonymousId":"a1","sessionId":1234567890}`).Status == http.StatusOK
	})
	if got := p.arrives(t, "a1", "m2"); got != "1234567890!" {
		t.Errorf("%q", got)
	}
}

// TestRedisFailover kills the master: after a replica has taken over, everything works as
// before.
func TestRedisFailover(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	sentinels := redistest.StartSentinels(t, master, 1)
	p := run(t, proxytest.Setup{Global: withRedis(sentinels.URLs(), "sentinel "+sentinels.Name)})
	p.Start(t, "a1", id1)
	if got := p.arrives(t, "a1", "m1"); got != "1234567890!" {
		t.Fatalf("before: %q", got)
	}
	redistest.Await(t, "the replica has it", func() bool { return replica.Do("DBSIZE") == "1" && master.Do("WAIT", "1", "1000") == "1" })
	master.Kill()
	redistest.Await(t, "a session is started", func() bool {
		return p.Post(t, "/v1/startSession", `{"anonymousId":"a2","sessionId":1234567891}`).Status == http.StatusOK
	})
	// The Sentinel that led the election notifies the proxy before the other Sentinels.
	redistest.Await(t, "the replica is promoted", func() bool { return sentinels.Master() == replica.Addr })
	for user, want := range map[string]string{"a1": "1234567890", "a2": "1234567891!"} {
		if got := p.arrives(t, user, "m2"); got != want {
			t.Errorf("%s: %q, not %q", user, got, want)
		}
	}
	if replica.Do("DBSIZE") != "2" {
		t.Error("the session is not in the new master")
	}
}
