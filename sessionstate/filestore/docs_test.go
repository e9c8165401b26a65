package filestore_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestFormatsInDocs: docs/deployment.md says which formats this version reads and
// writes, for those who upgrade and go back.
func TestFormatsInDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Sprintf("\n| this version | 1 to %d | %d | %d |\n", session.ReadFormat, session.WriteFormat, filestore.Schema)
	if !strings.Contains(string(text), row) {
		t.Errorf("it does not have the row%s", row)
	}
}
