package integration_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/caddymodule/adminapi"
	"github.com/rudder-session/rudder-session/internal/proxytest"
)

const adminDocs = "docs/admin-api.md"

// TestAdminDocs runs every curl line of docs/admin-api.md, in order, with an empty table,
// and compares the output with the block that follows, if there is one.
func TestAdminDocs(t *testing.T) {
	p := run(t, withAdmin("file", ""))
	dir := t.TempDir()
	ids := idMap{}
	blocks := fencedBlocks(t, adminDocs)
	ran := 0
	for i, block := range blocks {
		if block.language != "sh" || !strings.HasPrefix(block.text, "curl ") {
			continue
		}
		ran++
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(block.text, "127.0.0.1:2019", p.adminAddress()))
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("docs/admin-api.md:%d: %v: %s", block.line, err, out)
		}
		if i+1 == len(blocks) || blocks[i+1].language != "json" {
			continue
		}
		if want := blocks[i+1].text; !ids.same(string(out), want, block.text) {
			t.Errorf("docs/admin-api.md:%d: got\n%s\nshown\n%s", block.line, out, want)
		}
	}
	if ran < 7 {
		t.Errorf("%d lines were run", ran)
	}
}

// TestAdminRoutesInDocs: docs/admin-api.md has a section about each route.
func TestAdminRoutesInDocs(t *testing.T) {
	text := readText(t, adminDocs)
	for _, route := range (adminapi.API{}).Routes() {
		name := strings.TrimPrefix(route.Pattern, "/rudder_session/")
		if !strings.Contains(text, "\n## `"+name+"`\n") {
			t.Errorf("%s is not described", name)
		}
	}
}

// TestCommandsInDocs: docs/admin-api.md has a line with each command that the program
// names.
func TestCommandsInDocs(t *testing.T) {
	usage, err := exec.Command(proxytest.Program(t), "rudder-session").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`rudder-session <([a-z|]+)>`).FindSubmatch(usage)
	if names == nil {
		t.Fatalf("no commands: %s", usage)
	}
	_, section, _ := strings.Cut(readText(t, adminDocs), "\n## Commands\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for name := range strings.SplitSeq(string(names[1]), "|") {
		if !strings.Contains(section, "caddy rudder-session "+name) {
			t.Errorf("%s is not described", name)
		}
	}
}
