package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// links is the admin endpoint's answer about users and devices.
type links struct {
	Known   bool
	Current *int64
	Links   []struct {
		Device string `json:"anonymous_id"`
		User   string `json:"user_id"`
	}
}

// linked returns the devices of a user, or the users of a device.
func (p *proxy) linked(t *testing.T, who string) string {
	t.Helper()
	var l links
	p.answers(t, "POST", "session", `{"write_key":"wk1",`+who+`}`, &l)
	var names []string
	for _, link := range l.Links {
		names = append(names, link.Device+link.User)
	}
	text := strings.Join(names, " ")
	if l.Current != nil {
		text += fmt.Sprintf(", now %d", *l.Current)
	}
	return text
}

// begins begins a session on a device for its user.
func (p *proxy) begins(t *testing.T, device, user string, id int64) {
	t.Helper()
	body := fmt.Sprintf(`{"anonymousId":%q,"userId":%q,"sessionId":%d}`, device, user, id)
	if got := p.Post(t, "/v1/startSession", body); got.Status != http.StatusOK {
		t.Fatal(got.Status, got.Body)
	}
}

// TestAdminOfFollowedUsers: users and devices are shown; when one is forgotten, links to
// it in other sessions are removed too.
func TestAdminOfFollowedUsers(t *testing.T) {
	redis := redistest.Start(t)
	for name, store := range map[string]string{"memory": "memory", "file": "file", "redis": "redis " + redis.URL()} {
		for _, shared := range []string{"", "share_sessions"} {
			t.Run(name+" "+shared, func(t *testing.T) {
				if name == "redis" {
					store = fmt.Sprintf("redis %s {\nprefix %q\n}", redis.URL(), shared+":")
				}
				p := run(t, withAdmin(store, "follow_user\n"+shared))
				p.Now = time.Now().Add(-time.Minute) // the admin endpoint has another clock
				says := func(who, want string) {
					t.Helper()
					if got := p.linked(t, who); got != want {
						t.Errorf("%s: %q, want %q", who, got, want)
					}
				}
				long := strings.Repeat("l", 300)
				p.begins(t, "phone", "anna", 1111111111)
				p.begins(t, "laptop", "anna", 2222222222)
				p.begins(t, "kiosk", "anna", 3333333333)
				p.begins(t, "kiosk", "ben", 4444444444)
				p.begins(t, "tablet", "ben", 5555555555)
				p.begins(t, "kiosk", "ben", 6666666666)
				p.begins(t, "kiosk", long, 7777777777)
				says(`"user_id":"anna"`, "phone laptop kiosk, now 2222222222")
				says(`"user_id":"ben"`, "kiosk tablet kiosk, now 5555555555")
				says(`"anonymous_id":"kiosk"`, "anna ben , now 7777777777")
				says(`"anonymous_id":"phone"`, "anna, now 1111111111")

				forget := func(who string, want int) {
					t.Helper()
					if got := p.admin(t, "POST", "forget", who).Body; got != fmt.Sprintf("{\"forgotten\":%d}\n", want) {
						t.Errorf("%s: %s", who, got)
					}
				}
				forget(`{"anonymous_id":"laptop"}`, 1)
				says(`"user_id":"anna"`, "phone kiosk, now 1111111111")
				forget(`{"user_id":"anna"}`, 3) // the phone and the kiosk with her
				says(`"user_id":"anna"`, "")
				says(`"anonymous_id":"kiosk"`, "")
				says(`"user_id":"ben"`, "tablet, now 5555555555")
				forget(`{"user_id":"`+long+`"}`, 1)
				if left := p.admin(t, "GET", "export", "").Body; strings.Contains(left, "anna") || strings.Contains(left, "kiosk") || strings.Count(left, "\n") != 2 {
					t.Error(left)
				}
				forget(`{"anonymous_id":"tablet"}`, 1)
				says(`"user_id":"ben"`, "")
				if got := p.echoes(t, `{"userId":"ben","event":"x"}`); strings.Contains(got, "sessionId") {
					t.Error(got)
				}
			})
		}
	}
}

// TestFollowingExplained: an explanation names the device and its user, and the counters
// agree with it.
func TestFollowingExplained(t *testing.T) {
	p := run(t, withAdmin("memory", "follow_user"))
	p.Now = time.Now().Add(-time.Minute)
	p.begins(t, "phone", "anna", 1111111111)
	for body, want := range map[string]string{
		`{"userId":"anna","event":"x"}`:                                                 `It takes the session that its user is in (follow_user).|last active on the device with the anonymousId "phone"`,
		`{"userId":"ben","event":"x"}`:                                                  `Its user is in no session then (follow_user).|No device is known`,
		`{"userId":"ben","event":"x","context":{"sessionId":5}}`:                        `It brought a session id of its own`,
		`{"userId":"ben","event":"x","context":{"sessionId":5,"sessionStart":true}}`:    `context.sessionId stays (5), context.sessionStart (true) is removed.`,
		`{"anonymousId":"phone","event":"x"}`:                                           `Its device belongs to the userId "anna".`,
		`{"anonymousId":"made up","userId":"anna","channel":"server","event":"x"}`:      `where the userId comes first.|takes the session`,
		`{"anonymousId":"phone","userId":"anna","channel":"server","type":"x","a":[1]}`: `takes the session`,
	} {
		ask, err := json.Marshal(map[string]any{"write_key": "wk1", "endpoint": "track", "body": json.RawMessage(body)})
		if err != nil {
			t.Fatal(err)
		}
		got := p.admin(t, "POST", "explain", string(ask)).Body
		for _, part := range strings.Split(want, "|") {
			if text, _ := json.Marshal(part); !strings.Contains(got, strings.Trim(string(text), `"`)) {
				t.Errorf("%s: not %q in %s", body, part, got)
			}
		}
	}
}

// TestFollowingWhenTheStoreFails: an event whose user or device cannot be looked up is
// forwarded as it came, or refused with a 503, as on_store_error says.
func TestFollowingWhenTheStoreFails(t *testing.T) {
	for _, mode := range []string{"pass", "reject"} {
		t.Run(mode, func(t *testing.T) {
			redis := redistest.Start(t)
			p := run(t, proxytest.Setup{
				Global:  withRedis([]string{redis.URL()}, "timeout 200ms\nconsistency strict"),
				Session: "follow_user\non_store_error " + mode,
			})
			p.begins(t, "phone", "anna", 1111111111)
			body := `{"userId":"anna","event":"x","messageId":"m"}`
			arrives := func() string {
				got := p.Post(t, "/v1/track", body)
				a := p.Plane.Take()
				switch {
				case len(a) == 0:
					return fmt.Sprint(got.Status)
				case string(a[0].Body) == body:
					return "unchanged"
				}
				return proxytest.Messages(t, a...)[0].Session()
			}
			if got := arrives(); got != "1111111111" {
				t.Fatal(got)
			}
			redis.Kill()
			if got := arrives(); got != map[string]string{"pass": "unchanged", "reject": "503"}[mode] {
				t.Error(got)
			}
			got := p.Send(t, proxytest.Request{Method: "GET", Path: "/v1/session?userId=anna", WriteKey: "wk1"})
			checkProblem(t, "session", got, http.StatusServiceUnavailable, "")
		})
	}
}
