package replay_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/caddymodule/replay"
	"github.com/rudder-session/rudder-session/internal/shop"
)

// TestReportInTheDocs: the report in the documentation equals the output of the command
// there for a small month of the shop.
func TestReportInTheDocs(t *testing.T) {
	text, err := os.ReadFile("docs/choosing-a-policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "```text\n$ caddy rudder-session replay october.jsonl ")
	if !found {
		t.Fatal("no report")
	}
	options, want, _ := strings.Cut(after, "\n")
	want, _, _ = strings.Cut(want, "```")

	path := filepath.Join(t.TempDir(), "october.jsonl")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := shop.Generate(file, shop.Options{Users: 800, Events: 16_000, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	var got, stderr bytes.Buffer
	cmd := replay.Command()
	cmd.SetContext(t.Context())
	cmd.SetOut(&got)
	cmd.SetErr(&stderr)
	cmd.SetArgs(append([]string{path}, arguments(options)...))
	if err := cmd.Execute(); err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	if said := strings.ReplaceAll(got.String(), path, "october.jsonl"); said != want {
		t.Errorf("the command prints\n%s", said)
	}
}

// arguments splits a command line at spaces that are not in double quotes.
func arguments(line string) (all []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			all = append(all, part)
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}
