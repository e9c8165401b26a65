package sourceconfig

import (
	"os"
	"strings"
	"testing"
)

// TestMetricInDocs: docs/operations.md describes the metric of this package.
func TestMetricInDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "| `caddy_rudder_session_source_configs_total` | `outcome`, `reason` | "; !strings.Contains(string(text), want) {
		t.Errorf("docs/operations.md has no %q", want)
	}
}
