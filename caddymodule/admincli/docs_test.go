package admincli

import (
	"os"
	"strings"
	"testing"
)

// TestCommandsInDocs: docs/admin-api.md has a line with each command.
func TestCommandsInDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/admin-api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Commands\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, name := range names(commands()) {
		if !strings.Contains(section, "caddy rudder-session "+name) {
			t.Errorf("%s is not described", name)
		}
	}
}
