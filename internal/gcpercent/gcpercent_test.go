package gcpercent

import (
	"runtime/debug"
	"testing"
)

// TestTune: a server collects garbage less often, other commands and whoever sets
// it in the environment do as Go does.
func TestTune(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	for _, c := range []struct {
		args []string
		env  map[string]string
		want int
	}{
		{[]string{"run", "--config", "Caddyfile"}, nil, percent},
		{[]string{"run"}, map[string]string{"GOGC": "50"}, 100},
		{[]string{"run"}, map[string]string{"GOGC": "off"}, 100},
		{[]string{"run"}, map[string]string{"GOMEMLIMIT": "1GiB"}, 100},
		{[]string{"version"}, nil, 100},
		{[]string{"start"}, nil, 100}, // it starts another process, which runs
		{nil, nil, 100},
	} {
		debug.SetGCPercent(100)
		Tune(c.args, func(name string) string { return c.env[name] })
		if got := debug.SetGCPercent(100); got != c.want {
			t.Errorf("%v %v: %d, want %d", c.args, c.env, got, c.want)
		}
	}
}
