package integration_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/rudder-session/rudder-session/internal/caddyfiletest"
)

// TestSourceConfigOptions adapts Caddyfiles, and compares the result with JSON, or with an
// error that has the option's name and line.
func TestSourceConfigOptions(t *testing.T) {
	t.Setenv("SOURCE_CONFIG_TEST_URL", "https://p.example/rs")
	for _, c := range []struct{ block, json, err string }{
		{"", `{"handler":"rudder_session_source_config"}`, ""},
		{"{\n}", `{"handler":"rudder_session_source_config"}`, ""},
		{"{\ndata_plane https://p.example:8443/rs\nmax_body 1MiB\n}", `{"data_plane":"https://p.example:8443/rs","handler":"rudder_session_source_config","max_body":"1MiB"}`, ""},
		{"{\nmax_body 1024\n}", `{"handler":"rudder_session_source_config","max_body":1024}`, ""},
		{"{\ndata_plane {env.SOURCE_CONFIG_TEST_URL}\n}", `{"data_plane":"{env.SOURCE_CONFIG_TEST_URL}","handler":"rudder_session_source_config"}`, ""},
		{"/x { # a matcher\n}", `{"handler":"rudder_session_source_config"}`, ""},
		{"x {\n}", "", `rudder_session_source_config: unexpected "x", at Caddyfile:2`},
		{"{\ndataplane https://p.example\n}", "", `rudder_session_source_config: unknown option "dataplane", at Caddyfile:3`},
		{"{\ndata_plane\n}", "", `data_plane: a value is missing, at Caddyfile:3`},
		{"{\n\ndata_plane https://a https://b\n}", "", `data_plane: unexpected "https://b", at Caddyfile:4`},
		{"{\ndata_plane https://a\ndata_plane https://b\n}", "", `data_plane: stands twice, at Caddyfile:4`},
		{"{\ndata_plane p.example\n}", "", `data_plane: "p.example" is no URL, such as https://events.example.com, at Caddyfile:3`},
		{"{\ndata_plane ftp://p.example\n}", "", `data_plane: "ftp://p.example" is no URL, such as https://events.example.com, at Caddyfile:3`},
		{"{\ndata_plane https://\n}", "", `data_plane: "https://" is no URL, such as https://events.example.com, at Caddyfile:3`},
		{"{\ndata_plane https://p.example/\n}", "", `data_plane: "https://p.example/" ends with a slash, at Caddyfile:3`},
		{"{\ndata_plane https://p.example?a=b\n}", "", `data_plane: "https://p.example?a=b" has more than a host and a path, at Caddyfile:3`},
		{"{\ndata_plane https://user@p.example\n}", "", `data_plane: "https://user@p.example" has more than a host and a path, at Caddyfile:3`},
		{"{\nmax_body 8 MiB\n}", "", `max_body: unexpected "MiB", at Caddyfile:3`},
		{"{\nmax_body large\n}", "", `max_body: "large" is no size, such as 8MiB, at Caddyfile:3`},
		{"{\nmax_body 0\n}", "", `max_body: "0" is not between 1 byte and 1GiB, at Caddyfile:3`},
		{"{\nmax_body 2GiB\n}", "", `max_body: "2GiB" is not between 1 byte and 1GiB, at Caddyfile:3`},
		// From JSON, and with placeholders.
		{"", `{"handler":"rudder_session_source_config","data_plane":"p.example"}`, `data_plane: "p.example" is no URL, such as https://events.example.com`},
		{"", `{"handler":"rudder_session_source_config","max_body":-1}`, `max_body: "-1" is no size, such as 8MiB`},
		{"", `{"handler":"rudder_session_source_config","max":1}`, `unknown field "max"`},
		{"", `{"handler":"rudder_session_source_config","data_plane":"{env.SOURCE_CONFIG_TEST_NOT_SET}"}`, `data_plane: evaluated placeholder {env.SOURCE_CONFIG_TEST_NOT_SET} is empty`},
	} {
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(
			[]byte("http://127.0.0.1:9090 {\nrudder_session_source_config "+c.block+"\n}\n"), map[string]any{"filename": "Caddyfile"})
		if err == nil && c.err == "" && !strings.Contains(string(adapted), c.json) {
			t.Errorf("%q: %s is not in %s", c.block, c.json, adapted)
		}
		if err == nil {
			if c.err != "" {
				adapted = bytes.Replace(adapted, []byte(`{"handler":"rudder_session_source_config"}`), []byte(c.json), 1)
			}
			err = caddyfiletest.Validate(t, adapted)
		}
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.HasSuffix(err.Error(), c.err)) {
			t.Errorf("%q %s: %v, want %s", c.block, c.json, err, c.err)
		}
	}
}

// TestSourceConfigOrder: the directive is ordered before handle and reverse_proxy, wherever it is
// written.
func TestSourceConfigOrder(t *testing.T) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(
		[]byte("http://127.0.0.1:9090 {\nreverse_proxy 127.0.0.1:1\nhandle /sourceConfig* {\nreverse_proxy 127.0.0.1:2\n}\nrudder_session_source_config\n}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(adapted), `"rudder_session_source_config"`)
	if proxy := strings.Index(string(adapted), `"reverse_proxy"`); at < 0 || at > proxy {
		t.Errorf("not before all of reverse_proxy: %s", adapted)
	}
}

// TestSourceConfigMetricInDocs: docs/operations.md describes the metric of the package.
func TestSourceConfigMetricInDocs(t *testing.T) {
	const want = "| `caddy_rudder_session_source_configs_total` | `outcome`, `reason` | "
	if !strings.Contains(readText(t, "docs/operations.md"), want) {
		t.Errorf("docs/operations.md has no %q", want)
	}
}
