package integration_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestAdminDocs runs every curl line of docs/admin-api.md, in order, with an empty table,
// and compares the output with the block that follows, if there is one.
func TestAdminDocs(t *testing.T) {
	p := run(t, withAdmin("file", ""))
	dir := t.TempDir()
	ids := idMap{}
	blocks := fencedBlocks(t, "docs/admin-api.md")
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
