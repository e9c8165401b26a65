package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// servers is a configuration with servers, in which H:x stands for a handler with the
// prefix /x.
func servers(text string) string {
	for i := 0; ; {
		at := strings.Index(text[i:], "H:")
		if at < 0 {
			return `{"apps":{"http":{"servers":` + text + `}}}`
		}
		i += at
		handler := `{"handler":"rudder_session","prefix":"/` + text[i+2:i+3] + `"}`
		text = text[:i] + handler + text[i+3:]
		i += len(handler)
	}
}

func TestReadSite(t *testing.T) {
	host := func(name, handle string) string {
		return `{"match":[{"host":["` + name + `"]}],"handle":[` + handle + `]}`
	}
	sub := func(routes string) string { return `{"handler":"subroute","routes":[` + routes + `]}` }
	for name, c := range map[string]struct {
		servers, wanted string
		prefix, site    string // if prefix is "", site is the expected error
	}{
		"the first":            {`{"s":{"listen":[":80"],"routes":[{"handle":[H:a,H:b]}]}}`, "", "a", ":80"},
		"by address":           {`{"s":{"listen":[":80"],"routes":[{"handle":[H:a]}]},"t":{"listen":[":81",":82"],"routes":[{"handle":[H:b]}]}}`, ":82", "b", ":81, :82"},
		"servers by name":      {`{"srv10":{"routes":[{"handle":[H:b]}]},"srv9":{"routes":[{"handle":[H:a]}]}}`, "", "a", ""},
		"by host":              {`{"s":{"routes":[` + host("x", "H:a") + `,` + host("y", "H:b") + `]}}`, "y", "b", "y"},
		"several matchers":     {`{"s":{"routes":[{"match":[{"host":["x"]},{"path":["/"]},{"host":["y","z"]}],"handle":[H:a]}]}}`, "z", "a", "x, y, z"},
		"nested":               {`{"s":{"routes":[` + host("x", sub(`{"handle":[`+sub(`{"handle":[H:a]}`)+`]}`)) + `]}}`, "x", "a", "x"},
		"nested hosts":         {`{"s":{"routes":[` + host("*.x", sub(host("y.x", "H:a"))) + `]}}`, "y.x", "a", "y.x"},
		"behind others":        {`{"s":{"routes":[{"handle":[{"handler":"rewrite","uri":"/"},{"handler":"encode"},H:a]}]}}`, "", "a", ""},
		"errors of a subroute": {`{"s":{"routes":[` + host("x", `{"handler":"subroute","errors":{"routes":[{"handle":[H:a]}]}}`) + `]}}`, "x", "a", "x"},
		"handle_errors":        {`{"s":{"routes":[{"handle":[{"handler":"encode"}]}],"errors":{"routes":[` + host("x", "H:a") + `]}}}`, "x", "a", "x"},
		"routes before errors": {`{"s":{"errors":{"routes":[{"handle":[H:b]}]},"routes":[{"handle":[H:a]}]}}`, "", "a", ""},
		"invoked":              {`{"s":{"named_routes":{"n":{"handle":[H:a]}},"routes":[` + host("x", `{"handler":"invoke","name":"n"}`) + `]}}`, "x", "a", "x"},
		"invoked of another":   {`{"r":{"named_routes":{"n":{"handle":[H:b]}}},"s":{"routes":[{"handle":[{"handler":"invoke","name":"n"}]}]}}`, "", "", "the configuration has no rudder_session handler"},
		"never invoked":        {`{"s":{"named_routes":{"n":{"handle":[H:a]}}}}`, "", "", "the configuration has no rudder_session handler"},
		"invokes itself":       {`{"s":{"named_routes":{"n":{"handle":[{"handler":"invoke","name":"n"}]}},"routes":[{"handle":[{"handler":"invoke","name":"n"},H:a]}]}}`, "", "a", ""},
		"of other modules":     {`{"s":{"routes":[` + host("x", `{"handler":"split","share":[{"weight":1,"handle":[H:a]}],"routes":7}`) + `]}}`, "", "a", ""},
		"of other modules, by host": {
			`{"s":{"routes":[` + host("x", `{"handler":"split","arm":H:b}`) + `,` + host("y", "H:a") + `]}}`, "x", "",
			`site: no rudder_session handler serves "x"; there are: y`,
		},
		"responses":     {`{"s":{"routes":[` + host("x", `{"handler":"reverse_proxy","handle_response":[{"routes":[{"handle":[H:a]}]}]}`) + `]}}`, "", "a", ""},
		"odd members":   {`{"s":{"routes":[{"handle":[{"handler":"x","name":7},{"handler":["rudder_session"]},7,H:a]}]}}`, "", "a", ""},
		"unknown site":  {`{"s":{"listen":[":80"],"routes":[{"handle":[H:a,H:b]},` + host("x", "H:c") + `]}}`, "y", "", `site: no rudder_session handler serves "y"; there are: :80; x`},
		"no site":       {`{}`, "y", "", "the configuration has no rudder_session handler"},
		"not of http":   {`{"s":{"logs":{"handler":"rudder_session"}}}`, "", "", "the configuration has no rudder_session handler"},
		"odd structure": {`{"s":{"routes":7}}`, "", "", "json: cannot unmarshal number"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := ReadSite([]byte(servers(c.servers)), c.wanted)
			if c.prefix == "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.site) {
					t.Error(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			site, err := config.Site()
			if err != nil || site.handler.prefix != "/"+c.prefix || site.String() != c.site {
				t.Errorf("%q of %q, %v", site.handler.prefix, site, err)
			}
		})
	}
}

// Sites are found in the JSON that the Caddyfile adapter writes.
func TestReadSiteOfCaddyfile(t *testing.T) {
	const caddyfile = `
&(sessions) {
	rudder_session {
		prefix /invoked
	}
}
http://a.example.com {
	handle_path /rs/* {
		route {
			rudder_session {
				prefix /nested
			}
		}
	}
}
http://b.example.com {
	invoke sessions
}
http://c.example.com {
	handle_errors {
		rudder_session {
			prefix /errors
		}
	}
}
http://:8081 {
	rudder_session {
		prefix /port
	}
}`
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	for wanted, prefix := range map[string]string{
		"": "/nested", "a.example.com": "/nested", "b.example.com": "/invoked", "c.example.com": "/errors", ":8081": "/port",
	} {
		found, err := ReadSite(config, wanted)
		if err != nil {
			t.Fatal(err)
		}
		site, err := found.Site()
		if err != nil || site.handler.prefix != prefix {
			t.Errorf("%q: %q, %v", wanted, site.handler.prefix, err)
		}
	}
}

// Given options replace existing ones.
func TestSiteConfigWith(t *testing.T) {
	config, err := ReadSite([]byte(servers(`{"s":{"listen":[":80"],"routes":[{"handle":[{"handler":"rudder_session","automatic":"off","prefix":"/p","follow_user":true,"sources":{"wk":{"automatic":"proxy"}}}]}]}}`)), "")
	if err != nil {
		t.Fatal(err)
	}
	before, err := config.Site()
	if err != nil {
		t.Fatal(err)
	}
	with, err := config.With("automatic proxy 5m\nwrite_keys wk")
	if err != nil {
		t.Fatal(err)
	}
	site, err := with.Site()
	if err != nil {
		t.Fatal(err)
	}
	h := site.handler
	if h.others.policy.Timeout != 5*60_000 || h.prefix != "/p" || !h.FollowUser || !h.listed("wk") || h.listed("other") || h.sources["wk"] == nil || site.String() != ":80" {
		t.Errorf("%+v", h)
	}
	if before.handler.others.policy.Timeout != defaultTimeout || !before.Listed("other") {
		t.Error("the configuration itself has changed")
	}
	for _, options := range []string{"automatik", "automatic", "}", "follow_user }", "follow_user\n}\nrudder_session {", `automatic "`} {
		if _, err := config.With(options); err == nil || strings.Contains(err.Error(), "options:") {
			t.Errorf("%q: %v", options, err)
		}
	}
}
