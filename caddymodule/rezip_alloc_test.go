//go:build !race

package caddymodule

import (
	"testing"

	"github.com/rudder-session/rudder-session/enrich"
)

// TestZipAllocates: zip allocates little, because its writers come from a pool. (The race
// detector makes pools drop some elements.)
func TestZipAllocates(t *testing.T) {
	raw := make([]byte, 4096)
	b := &body{raw: &raw}
	changed := enrich.Body{[]byte(`{"a":1}`)}
	b.zip(changed)
	if n := testing.AllocsPerRun(100, func() { b.zip(changed) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
