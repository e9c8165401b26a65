package integration_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// twoSites is a configuration in which shared.test shares its sessions, and all
// other hosts do not.
func twoSites() proxytest.Setup {
	s := withAdmin("memory", "automatic off")
	s.Before = "http://shared.test:$PORT {\ntest_clock\nhandle {\nrudder_session {\nshare_sessions\n}\nreverse_proxy $UPSTREAM\n}\n}"
	return s
}

// startAt begins the session of "one" at a host, or at any if host is "".
func (p *proxy) startAt(t *testing.T, host string, id int64) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, p.URL("/v1/startSession"),
		strings.NewReader(fmt.Sprintf(`{"anonymousId":"one","sessionId":%d}`, id)))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.SetBasicAuth("wk1", "")
	if got, err := proxytest.Exchange(p.Client, r); err != nil || got.Body != fmt.Sprintf("{\"sessionId\":%d}\n", id) {
		t.Fatalf("%v %v", got, err)
	}
}

const ofSharedTest = `{"write_key":"wk1","anonymous_id":"one","site":"shared.test"}`

// TestAdminOfSeveralSites: a user's session is found and ended at all sites, or only at
// the site that is named.
func TestAdminOfSeveralSites(t *testing.T) {
	p := run(t, twoSites())
	other := "127.0.0.1:" + strconv.Itoa(p.Port)
	type line struct {
		timeline
		Shared bool
		Sites  []string
	}
	show := func(of string, want ...string) {
		t.Helper()
		var got struct {
			line
			Also []line
		}
		p.answers(t, "POST", "session", of, &got)
		all := append([]line{got.line}, got.Also...)
		var said []string
		for _, l := range all {
			said = append(said, fmt.Sprintf("%v %v %s", l.Shared, l.Sites, l.timeline))
		}
		if strings.Join(said, "; ") != strings.Join(want, "; ") {
			t.Errorf("%s: %q, want %q", of, said, want)
		}
	}
	end := func(of, want string) {
		t.Helper()
		if got := p.admin(t, "POST", "end", of).Body; got != strings.ReplaceAll(want, "OTHER", other)+"\n" {
			t.Errorf("%s: %s", of, got)
		}
	}
	ofOther := fmt.Sprintf(`{"write_key":"wk1","anonymous_id":"one","site":%q}`, other)

	p.startAt(t, "shared.test", 2222222222)
	show(user1, "true [shared.test] manual 2222222222, now 2222222222", "false ["+other+"] now none")
	show(ofOther, "false [] now none")
	show(ofSharedTest, "true [] manual 2222222222, now 2222222222")
	end(ofOther, `{"ended":false}`)
	end(user1, `{"ended":true,"of":[{"shared":false,"sites":["OTHER"],"ended":false},{"shared":true,"sites":["shared.test"],"ended":true}]}`)
	end(user1, `{"ended":false,"of":[{"shared":false,"sites":["OTHER"],"ended":false},{"shared":true,"sites":["shared.test"],"ended":false}]}`)

	p.startAt(t, "", 3333333333)
	p.startAt(t, "shared.test", 4444444444)
	end(ofSharedTest, `{"ended":true}`)
	show(ofOther, "false [] ended 0, manual 3333333333, now 3333333333")
	end(user1, `{"ended":true,"of":[{"shared":false,"sites":["OTHER"],"ended":true},{"shared":true,"sites":["shared.test"],"ended":false}]}`)

	for _, route := range []string{"session", "end", "explain"} {
		of := `{"write_key":"wk1","anonymous_id":"one","site":"elsewhere"}`
		if route == "explain" {
			of = `{"write_key":"wk1","endpoint":"track","site":"elsewhere","body":{}}`
		}
		got := p.admin(t, "POST", route, of)
		if got.Status != http.StatusBadRequest || !strings.Contains(got.Body, `site: \"elsewhere\" serves no such write key; there are: `+other+", shared.test") {
			t.Errorf("%s: %d %s", route, got.Status, got.Body)
		}
	}
	// forget does not take a site. To ignore it would be misleading, so it is refused.
	if got := p.admin(t, "POST", "forget", ofSharedTest); got.Status != http.StatusBadRequest {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// TestExplainSeveralSites: explain says what each site would do, or only the site that
// is named.
func TestExplainSeveralSites(t *testing.T) {
	s := twoSites()
	s.Before = strings.Replace(s.Before, "share_sessions", "automatic sdk", 1)
	p := run(t, s)
	other := "127.0.0.1:" + strconv.Itoa(p.Port)
	for site, want := range map[string]string{
		"":            other + " automatic_off, shared.test left_to_sdk",
		other:         " automatic_off",
		"shared.test": " left_to_sdk",
	} {
		var got []struct{ Site, Reason string }
		p.answers(t, "POST", "explain", fmt.Sprintf(`{"write_key":"wk1","endpoint":"track","site":%q,"body":{"anonymousId":"one"}}`, site), &got)
		var said []string
		for _, e := range got {
			said = append(said, e.Site+" "+e.Reason)
		}
		if strings.Join(said, ", ") != want {
			t.Errorf("%q: %q, want %q", site, said, want)
		}
	}
}

// TestSiteNames: a handler is found at any depth within Caddy's own modules.
func TestSiteNames(t *testing.T) {
	const refused = `{"write_key":"wk1","anonymous_id":"one","site":"elsewhere"}`
	for name, c := range map[string]struct {
		setup proxytest.Setup
		want  string
	}{
		"several hosts": {proxytest.Setup{Before: "http://b.test:$PORT, http://a.test:$PORT {\ntest_clock\nrudder_session\n}", Site: "respond ok"},
			"a.test, b.test"},
		"a named route": {proxytest.Setup{Before: "&(way) {\nrudder_session\ninvoke way\n}\nhttp://a.test:$PORT {\ntest_clock\ninvoke way\n}", Site: "respond ok"},
			"a.test"},
		"after an error": {proxytest.Setup{Before: "http://a.test:$PORT {\ntest_clock\nerror 500\nhandle_errors {\nrudder_session\n}\n}", Site: "respond ok"},
			"a.test"},
		"a host within a site": {proxytest.Setup{Site: "@a host a.test\nhandle @a {\nrudder_session\n}"}, "a.test"},
	} {
		t.Run(name, func(t *testing.T) {
			c.setup.Global = withAdmin("memory", "").Global
			p := run(t, c.setup)
			got := p.admin(t, "POST", "session", refused)
			names := strings.Split(c.want, ", ")
			for _, name := range names {
				if !strings.Contains(got.Body, name) {
					t.Errorf("%s is not in %s", name, got.Body)
				}
				of := fmt.Sprintf(`{"write_key":"wk1","anonymous_id":"one","site":%q}`, name)
				if got := p.admin(t, "POST", "session", of); got.Status != http.StatusOK {
					t.Errorf("%s: %d %s", name, got.Status, got.Body)
				}
			}
		})
	}
}

// TestCommandsOfSeveralSites runs the subcommands that take a site.
func TestCommandsOfSeveralSites(t *testing.T) {
	caddy := proxytest.Program(t)
	p := run(t, twoSites())
	other := "127.0.0.1:" + strconv.Itoa(p.Port)
	p.startAt(t, "shared.test", 2222222222)
	for _, c := range []struct{ args, input, says string }{
		{"show --anonymous-id one", "", "shared sessions (shared.test):\ncurrent session: 2222222222\n"},
		{"show --anonymous-id one", "", "\nsessions of this write key (" + other + "):\nnothing is known\n"},
		{"show --anonymous-id one --site shared.test", "", "current session: 2222222222\n"},
		{"explain --endpoint track", `{"anonymousId":"one"}`, "shared.test:\n1. "},
		{"end --anonymous-id one --site " + other, "", "there was no session\n"},
		{"end --anonymous-id one", "", "sessions of this write key (" + other + "): there was no session\nshared sessions (shared.test): ended\n"},
	} {
		args := append([]string{"rudder-session"}, strings.Fields(c.args)...)
		cmd := exec.Command(caddy, append(args, "--write-key", "wk1", "--address", p.adminAddress())...)
		cmd.Stdin = strings.NewReader(c.input)
		if said, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(said), c.says) {
			t.Errorf("%s: %v\n%s", c.args, err, said)
		}
	}
}
