package replay

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLines: nothing fails on any line; JSON stays JSON, with the same number of lines;
// and lines without decisions stay the same.
func FuzzLines(f *testing.F) {
	files, err := filepath.Glob("../../testdata/captures/*.jsonl")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for i, line := range bytes.SplitAfterN(text, []byte{'\n'}, 12) {
			if i < 11 {
				f.Add(line)
			}
		}
	}
	f.Add([]byte(randomText(1, 3, 20)))
	f.Add([]byte(eventLine("a", 1, 1, "") + "x\n\n{}"))
	f.Add([]byte(strings.Replace(eventLine("a", 1, 1, ""), "track", strings.Repeat("\xff", 12), 1)))
	f.Add([]byte(`{"path":"/v1/batch","body":"{\"batch\":[{\"type\":\"track\",\"userId\":\"\\u00e9\"}]}","receivedAt":1,"writeKey":"w"}`))
	f.Add([]byte(`{"path":"/v1/endSession?writeKey=w","body":{"userId":1},"receivedAt":"2026-11-23T09:00:00Z"}`))
	sessions := policy(f, "automatic proxy")
	none := policy(f, "automatic proxy\nwrite_keys nobody")
	f.Fuzz(func(t *testing.T, text []byte) {
		run := func(p Policy, omit bool) string {
			out, _ := replayText(t, string(text), Options{Policies: []Policy{p}, OmitControls: omit, Workers: 2, Capacity: 64})
			return out
		}
		out := run(sessions, false)
		before, after := strings.SplitAfter(string(text), "\n"), strings.SplitAfter(out, "\n")
		if len(before) != len(after) {
			t.Fatalf("%d lines became %d: %q", len(before), len(after), out)
		}
		for i := range before {
			if json.Valid([]byte(before[i])) && !json.Valid([]byte(after[i])) {
				t.Errorf("%q became %q", before[i], after[i])
			}
		}
		run(sessions, true)
		if out := run(none, false); out != string(text) && !strings.Contains(out, "rudderSessionControl") {
			t.Errorf("%q became %q", text, out)
		}
	})
}
