package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/rudder-session/rudder-session"
	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/caddymodule/inspector"
	"github.com/rudder-session/rudder-session/caddymodule/sourceconfig"
	"github.com/rudder-session/rudder-session/caddymodule/stores/file"
	"github.com/rudder-session/rudder-session/caddymodule/stores/redis"
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

// TestExamplesInDocs loads every configuration in the documentation. A block that begins
// with the directive is put into a site.
func TestExamplesInDocs(t *testing.T) {
	t.Setenv("SESSION_TIMEOUT", "30m")
	t.Setenv("APP_WRITE_KEY", "2abcAndroid")
	t.Setenv("REDIS_PASSWORD", "secret")
	n := 0
	for _, file := range documents(t) {
		for _, block := range fencedBlocks(t, file) {
			t.Run(fmt.Sprintf("%s:%d", file, block.line), func(t *testing.T) {
				config := []byte(block.text)
				switch {
				case block.language == "caddyfile":
					text := block.text
					if strings.HasPrefix(text, "rudder_session") {
						text = "http://127.0.0.1 {\n" + text + "}\n"
					}
					if formatted := caddyfile.Format(config); string(formatted) != block.text {
						t.Error("not formatted as caddy fmt does it")
					}
					config, _ = adaptCaddyfile(t, text)
				case block.language == "json" && strings.Contains(block.text, `"apps"`):
				default:
					return
				}
				n++
				if err := caddy.Validate(parseConfig(t, quietConfig(t, config))); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if n < 5 {
		t.Errorf("only %d configurations were found", n)
	}
}

// TestErrorsInDocs: every message in docs/configuration.md is one that the Caddyfile tests
// expect.
func TestErrorsInDocs(t *testing.T) {
	files, err := filepath.Glob("caddymodule/testdata/caddyfile/*.caddyfiletest")
	if err != nil {
		t.Fatal(err)
	}
	var expected strings.Builder
	for _, f := range files {
		expected.WriteString(readText(t, f))
	}
	n := 0
	for _, block := range fencedBlocks(t, "docs/configuration.md") {
		for line := range strings.Lines(block.text) {
			if block.language != "text" || !strings.Contains(line, ", at Caddyfile:") {
				continue
			}
			n++
			if !strings.Contains(expected.String(), line) {
				t.Errorf("docs/configuration.md:%d: no test expects %s", block.line, line)
			}
		}
	}
	if n == 0 {
		t.Error("docs/configuration.md shows no messages")
	}
}

// TestOptionsInDocs compares the options in the comments of the UnmarshalCaddyfile
// methods, and those of the JSON, with the documentation.
func TestOptionsInDocs(t *testing.T) {
	for _, c := range []struct {
		document string
		sources  []string
		options  int // at least
		modules  []any
		// inTables are options of blocks that are described in a table.
		inTables []string
	}{
		{"docs/configuration.md", []string{"caddymodule/caddyfile.go"}, 10,
			[]any{caddymodule.Handler{}, caddymodule.App{}, caddymodule.Source{}}, []string{"name"}},
		{"docs/custom-domain.md", []string{"caddymodule/sourceconfig/sourceconfig.go"}, 2, []any{sourceconfig.Handler{}}, nil},
		{"docs/inspector.md", []string{"caddymodule/inspector/inspector.go"}, 1, []any{inspector.Handler{}}, nil},
		{"docs/stores.md", []string{"caddymodule/stores/file/file.go", "caddymodule/stores/redis/caddyfile.go"}, 9,
			[]any{file.Store{}, redis.Store{}, redis.TLS{}}, []string{"ca", "certificate", "key", "server_name", "insecure_skip_verify"}},
	} {
		text := readText(t, c.document)
		var described []string
		for _, m := range regexp.MustCompile("(?m)^### `([a-z_]+)`$").FindAllStringSubmatch(text, -1) {
			described = append(described, m[1])
		}
		for _, option := range c.inTables {
			if strings.Contains(text, "`"+option+"`") || strings.Contains(text, "`"+option+" <") {
				described = append(described, option)
			}
		}
		var options []string
		for _, source := range c.sources {
			options = append(options, syntaxOptions(t, source)...)
		}
		if len(options) < c.options {
			t.Fatalf("%s: found only the options %v", c.document, options)
		}
		for _, o := range options {
			if !slices.Contains(described, o) {
				t.Errorf("%s does not describe %s", c.document, o)
			}
		}
		for _, d := range described {
			if !slices.Contains(options, d) {
				t.Errorf("%s describes %s, which is no option", c.document, d)
			}
		}
		for _, module := range c.modules {
			for _, field := range reflect.VisibleFields(reflect.TypeOf(module)) {
				name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
				if name != "" && !strings.Contains(text, `"`+name+`"`) {
					t.Errorf("%s does not show %q in JSON", c.document, name)
				}
			}
		}
	}
}

// syntaxOptions returns the first word of each line of the blocks in the comments of
// UnmarshalCaddyfile methods.
func syntaxOptions(t *testing.T, file string) (options []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range parsed.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Name.Name != "UnmarshalCaddyfile" {
			continue
		}
		_, syntax, found := strings.Cut(f.Doc.Text(), "Syntax:")
		if !found {
			t.Fatalf("%s: no syntax above UnmarshalCaddyfile", file)
		}
		for i, line := range strings.Split(strings.TrimSpace(syntax), "\n") {
			words := strings.Fields(line)
			if i > 0 && len(words) > 0 && words[0] != "}" && !slices.Contains(options, words[0]) {
				options = append(options, words[0])
			}
		}
	}
	return options
}

// TestLinks follows the relative links of the documentation, to files and to
// headings.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, file := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(withoutBlocks(readText(t, file)), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			path := file
			if target != "" {
				path = filepath.Join(filepath.Dir(file), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %s: %v", file, m[1], err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(readText(t, path)), anchor) {
				t.Errorf("%s: %s: no such heading", file, m[1])
			}
		}
	}
}

// anchors returns the ids that GitHub gives to the headings of a document.
func anchors(text string) (ids []string) {
	for line := range strings.Lines(withoutBlocks(text)) {
		title := strings.TrimLeft(line, "#")
		if title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		id := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title))
		ids = append(ids, id)
	}
	return ids
}

func documents(t *testing.T) []string {
	t.Helper()
	root, err1 := filepath.Glob("*.md")
	docs, err2 := filepath.Glob("docs/*.md")
	if err1 != nil || err2 != nil || !slices.Contains(root, "README.md") || len(docs) == 0 {
		t.Fatal("the documentation is not where it should be")
	}
	return append(root, docs...)
}

type fencedBlock struct {
	language, text string
	line           int // of the opening fence
}

func fencedBlocks(t *testing.T, file string) (blocks []fencedBlock) {
	t.Helper()
	n, open := 0, false
	for line := range strings.Lines(readText(t, file)) {
		n++
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open:
			open = false
		case fence:
			blocks = append(blocks, fencedBlock{language: language, line: n})
			open = true
		case open:
			blocks[len(blocks)-1].text += line
		}
	}
	if open {
		t.Fatalf("%s: a fenced block is not closed", file)
	}
	return blocks
}

// withoutBlocks takes the fenced blocks out of a document.
func withoutBlocks(text string) string {
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
