package main

import (
	"slices"
	"strings"
	"testing"
)

// TestBefore: each contestant with the handler is measured in an earlier build too, and
// compared with it.
func TestBefore(t *testing.T) {
	b := &bench{options: options{only: []string{plainCaddy, file, example, luaNginx}}}
	if names := b.earlier(); len(names) > 0 {
		t.Errorf("without -before: %q", names)
	}
	b.before = "/caddy"
	names := b.earlier()
	if want := []string{file + "; BENCH_CADDY=/caddy", example + "; BENCH_CADDY=/caddy"}; !slices.Equal(names, want) {
		t.Fatalf("%q, not %q", names, want)
	}
	for events, goal := range map[int]string{1: "<= 1.02 x", 100: "<= 1.15 x"} {
		b.table = table{}
		b.cpuRows(&scenario{
			traffic: traffic{name: "some", events: events},
			figures: map[string][]float64{file: {11, 22, 33}, names[0]: {10, 20, 30}},
		})
		found := slices.ContainsFunc(b.table.rows, func(r row) bool {
			return strings.HasSuffix(r.what, file) && strings.HasPrefix(r.against, names[0]) && r.ratio == "1.100" && r.goal == goal
		})
		if !found {
			t.Errorf("no row that compares with the earlier build: %v", b.table.rows)
		}
	}
}
