package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/rudder-session/rudder-session/internal/shop"
)

// TestFiles writes a month compressed and not, and scores both.
func TestFiles(t *testing.T) {
	o := shop.Options{Users: 100, Events: 2000, Seed: 1}
	var want *shop.Scores
	for _, name := range []string{"month.jsonl", "month.jsonl.gz"} {
		name = filepath.Join(t.TempDir(), name)
		lines, err := write(name, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := read(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := got.Total.Events + got.Total.Repeats; int64(n) != lines || got.Foreign != 0 {
			t.Errorf("%s: %d lines of %d, %d foreign", name, n, lines, got.Foreign)
		}
		if want != nil && *got != *want {
			t.Errorf("%s has other scores", name)
		}
		want = got
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) == ".gz" != bytes.HasPrefix(raw, []byte("\x1f\x8b")) {
			t.Errorf("%s: compressed or not, as its name does not say", name)
		}
		if filepath.Ext(name) == ".gz" {
			if err := os.WriteFile(name, raw[:len(raw)/2], 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := read(name); err == nil {
				t.Error("half a file is scored")
			}
		}
	}
	if _, err := read(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that does not exist is scored")
	}
}
