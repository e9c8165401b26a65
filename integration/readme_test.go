package integration_test

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/rudder-session/rudder-session"
)

const exampleAddress = "127.0.0.1:8080"

// TestReadme runs every curl line of README.md, in order, against Caddyfile.example, and
// compares the output with the block that follows.
func TestReadme(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl is needed")
	}
	address := runExample(t)
	blocks := fencedBlocks(t, "README.md")
	ids := idMap{}
	ran := 0
	for i, block := range blocks {
		var commands []string
		for line := range strings.Lines(block.text) {
			if strings.HasPrefix(line, "curl ") {
				commands = append(commands, strings.TrimSpace(line))
			}
		}
		if block.language != "sh" || len(commands) == 0 {
			continue
		}
		if i+1 == len(blocks) || blocks[i+1].language == "sh" {
			t.Fatalf("README.md:%d: no output is shown for it", block.line)
		}
		want := strings.Split(strings.TrimSuffix(blocks[i+1].text, "\n"), "\n")
		var got []string
		for _, command := range commands {
			out, err := exec.Command("sh", "-c", strings.ReplaceAll(command, exampleAddress, address)).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v: %s", command, err, out)
			}
			got = append(got, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")...)
			ran++
		}
		if len(got) != len(want) {
			t.Fatalf("README.md:%d: got\n%s\nshown\n%s", block.line, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for j := range want {
			if !ids.same(got[j], want[j], block.text) {
				t.Errorf("README.md:%d: got\n%s\nshown\n%s", block.line, got[j], want[j])
			}
		}
	}
	if ran == 0 {
		t.Error("README.md has no curl lines")
	}
}

// idMap maps the generated session ids that a document shows to those that were printed.
// It must be one-to-one.
type idMap map[string]string

var generatedID = regexp.MustCompile(`\b\d{13}\b`)

// same compares a printed line with a shown one. Ids that a command chooses must be
// equal; others are generated, and go through the map.
func (ids idMap) same(got, want, commands string) bool {
	at, pattern := 0, ""
	var shown []string
	for _, m := range generatedID.FindAllStringIndex(want, -1) {
		if id := want[m[0]:m[1]]; !strings.Contains(commands, id) {
			pattern += regexp.QuoteMeta(want[at:m[0]]) + `(\d{13})`
			shown = append(shown, id)
			at = m[1]
		}
	}
	pattern += regexp.QuoteMeta(want[at:])
	found := regexp.MustCompile(`^` + pattern + `$`).FindStringSubmatch(got)
	if found == nil {
		return false
	}
	for i, id := range shown {
		for otherID, printed := range ids {
			if (otherID == id) != (printed == found[i+1]) {
				return false
			}
		}
		ids[id] = found[i+1]
	}
	return true
}

func TestIDMap(t *testing.T) {
	ids := idMap{}
	for _, c := range []struct {
		got, want, commands string
		same                bool
	}{
		{`{"sessionId":1795434304771}`, `{"sessionId":1700000000000}`, ``, true},
		{`{"sessionId":1795434304772}`, `{"sessionId":1700000000000}`, ``, false},
		{`{"sessionId":1795434304771}`, `{"sessionId":1700000000003}`, ``, false},
		{`{"sessionId":1795434304771,"x":1}`, `{"sessionId":1700000000000}`, ``, false},
		{`{"sessionId":1795434304772}`, `{"sessionId":1700000000001}`, `1700000000001`, false},
		{`{"sessionId":1700000000001}`, `{"sessionId":1700000000001}`, `1700000000001`, true},
		{`{"sessionId":null}`, `{"sessionId":1700000000002}`, ``, false},
		{`ok`, `ok`, ``, true},
		{``, `ok`, ``, false},
	} {
		if got := ids.same(c.got, c.want, c.commands); got != c.same {
			t.Errorf("%s, shown as %s: got %v", c.got, c.want, got)
		}
	}
}

// runExample runs Caddyfile.example in this process, on free ports of the loopback
// interface and without an admin endpoint, and returns its address.
func runExample(t *testing.T) string {
	address, echo := twoFreeAddresses(t)
	_, port, _ := net.SplitHostPort(address)
	_, echoPort, _ := net.SplitHostPort(echo)
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("RUDDER_SESSION_SITE", "http://:"+port)
	t.Setenv("RUDDER_SESSION_BIND", "127.0.0.1")
	t.Setenv("RUDDER_SESSION_ECHO_PORT", echoPort)
	t.Setenv("RUDDERSTACK_DATA_PLANE_URL", "http://"+echo)
	adapted, warnings := adaptCaddyfile(t, readText(t, "Caddyfile.example"))
	for _, w := range warnings {
		t.Errorf("warning: %s", w)
	}
	config := quietConfig(t, adapted)
	if listens := listenAddresses(t, config); len(listens) != 2 || !slices.Contains(listens, address) || !slices.Contains(listens, echo) {
		t.Fatalf("the example listens on %v, not on %s and %s alone", listens, address, echo)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return address
}

func twoFreeAddresses(t *testing.T) (string, string) {
	t.Helper()
	var free [2]string
	for i := range free {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		free[i] = l.Addr().String()
	}
	return free[0], free[1]
}

// quietConfig turns off parts of a configuration that a test should not have: the admin
// endpoint, files on disk, the log.
func quietConfig(t *testing.T, config []byte) []byte {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	c["admin"] = map[string]any{"disabled": true, "config": map[string]any{"persist": false}}
	c["storage"] = map[string]any{"module": "file_system", "root": t.TempDir()}
	c["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "discard"}}}}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func listenAddresses(t *testing.T, config []byte) (all []string) {
	t.Helper()
	var c struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct{ Listen []string }
			}
		}
	}
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Apps.HTTP.Servers {
		all = append(all, s.Listen...)
	}
	return all
}

func adaptCaddyfile(t *testing.T, text string) ([]byte, []caddyconfig.Warning) {
	t.Helper()
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	return adapted, warnings
}

// TestExample: Caddyfile.example is formatted as by `caddy fmt`, and loads without
// warnings.
func TestExample(t *testing.T) {
	text := []byte(readText(t, "Caddyfile.example"))
	if formatted := caddyfile.Format(text); !bytes.Equal(formatted, text) {
		t.Error("Caddyfile.example is not formatted; run caddy fmt")
	}
	for _, name := range []string{"RUDDER_SESSION_SITE", "RUDDER_SESSION_BIND", "RUDDER_SESSION_ECHO_PORT", "RUDDERSTACK_DATA_PLANE_URL"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	adapted, warnings := adaptCaddyfile(t, string(text))
	for _, w := range warnings {
		t.Errorf("warning: %s", w)
	}
	for _, l := range listenAddresses(t, adapted) {
		if !strings.HasPrefix(l, "127.0.0.1:") {
			t.Errorf("the example, as it is, listens on %s", l)
		}
	}
	if err := caddy.Validate(parseConfig(t, quietConfig(t, adapted))); err != nil {
		t.Error(err)
	}
}

func parseConfig(t *testing.T, config []byte) *caddy.Config {
	t.Helper()
	c := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(config, c); err != nil {
		t.Fatal(err)
	}
	return c
}
