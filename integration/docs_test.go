package integration_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/rudder-session/rudder-session"
	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/caddymodule/inspector"
	"github.com/rudder-session/rudder-session/caddymodule/sourceconfig"
	"github.com/rudder-session/rudder-session/caddymodule/stores/file"
	"github.com/rudder-session/rudder-session/caddymodule/stores/redis"
)

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
// methods, and those of the JSON, with the documentation, and with the example
// all_options of the package.
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
		var inCaddyfile, inJSON string
		for _, source := range c.sources {
			options = append(options, syntaxOptions(t, source)...)
			example := readText(t, filepath.Join(filepath.Dir(source), "testdata/caddyfile/all_options.caddyfiletest"))
			given, adapted, _ := strings.Cut(example, "\n----------\n")
			inCaddyfile, inJSON = inCaddyfile+given, inJSON+adapted
		}
		if len(options) < c.options {
			t.Fatalf("%s: found only the options %v", c.document, options)
		}
		for _, o := range options {
			if !slices.Contains(described, o) {
				t.Errorf("%s does not describe %s", c.document, o)
			}
			if !regexp.MustCompile(`(?m)^\t+` + o + `\b`).MatchString(inCaddyfile) {
				t.Errorf("the example all_options beside %v does not have %s", c.sources, o)
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
				if name != "" && !strings.Contains(inJSON, `"`+name+`":`) {
					t.Errorf("the example all_options beside %v gives no %q in JSON: is it in options()?", c.sources, name)
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
	headings := map[string][]string{} // by path
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
			if anchor == "" {
				continue
			}
			if headings[path] == nil {
				headings[path] = anchors(readText(t, path))
			}
			if !slices.Contains(headings[path], anchor) {
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
