package adminapi

import (
	"os"
	"strings"
	"testing"
)

// TestRoutesInDocs: docs/admin-api.md has a section about each route.
func TestRoutesInDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/admin-api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range (API{}).Routes() {
		name := strings.TrimPrefix(route.Pattern, "/rudder_session/")
		if !strings.Contains(string(text), "\n## `"+name+"`\n") {
			t.Errorf("%s is not described", name)
		}
	}
}
