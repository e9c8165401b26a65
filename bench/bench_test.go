package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestQuick runs the benchmark as a user does, each row for a moment.
func TestQuick(t *testing.T) {
	var stderr bytes.Buffer
	run := exec.Command("./run.sh", "-quick")
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, stderr.Bytes())
	}
	for _, want := range []string{
		"CPU per request, one event: " + file,
		"CPU per request, batch of 100: " + redis,
		"CPU per request, one event, gzip: " + memory,
		"CPU per request, batch of 100, HTTP/2: " + memory,
		"CPU per request, one event: " + example,
		"p99 latency, one event",
		"validating and enriching, bytes per second, one event",
		"allocations per request",
		"a known session's look-up",
		"decompression alone, batch of 100, gzip",
		"memory per session beyond its key",
		"memory of a request, batch of 2300, gzip: " + example,
		"time per event, batch of 1000",
		"time of a look-up among 1000000 sessions",
		"replay, automatic adopt, bytes of events",
	} {
		if !strings.Contains(string(out), "| "+want) {
			t.Errorf("no row %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s%s", out, stderr.Bytes())
	}
}

// TestCheck: a proxy that leaves events unchanged does not pass for one that enforces
// sessions, and all kinds of contestants set the same sessions.
func TestCheck(t *testing.T) {
	b := startBench(t)
	c, err := b.contestant(plainCaddy)
	if err != nil {
		t.Fatal(err)
	}
	singles, batches := b.recorded.singles(false), b.recorded.batches(100, true)
	for _, traffic := range []traffic{singles, batches} {
		if err := c.check(traffic); err != nil {
			t.Error(err)
		}
	}
	c.sessions = true
	for _, traffic := range []traffic{singles, batches} {
		if c.check(traffic) == nil {
			t.Error("not noticed:", traffic.name)
		}
	}
}

// startBench builds the parts, and starts the upstream.
func startBench(t *testing.T) *bench {
	t.Helper()
	if out, err := exec.Command("./run.sh", "-h").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	parts, err := findParts("..")
	if err != nil {
		t.Fatal(err)
	}
	// The test itself cannot be the upstream.
	self := filepath.Join(parts.root, "bench", ".parts", "bench")
	b := &bench{field: &field{parts: parts, self: self, dir: t.TempDir()}}
	t.Cleanup(b.stop)
	if b.recorded, err = readCapture(filepath.Join(parts.root, "testdata/captures/js-v3.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := b.startUpstream(); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadFigures(t *testing.T) {
	f := readFigures([]byte("goos: linux\nBenchmarkEnrich/enrich/1-2   \t  1000\t  1234 ns/op\t 900.5 MB/s\t 64 B/op\t 3 allocs/op\nPASS\n"))
	if len(f) != 1 || f["BenchmarkEnrich/enrich/1"]["MB/s"] != 900.5 || f["BenchmarkEnrich/enrich/1"]["allocs/op"] != 3 {
		t.Error(f)
	}
}

func TestQuartiles(t *testing.T) {
	if q1, q2, q3 := quartiles([]float64{5, 1, 4, 2, 3}); q1 != 2 || q2 != 3 || q3 != 4 {
		t.Error(q1, q2, q3)
	}
	if q1, q2, q3 := quartiles([]float64{7}); q1 != 7 || q2 != 7 || q3 != 7 {
		t.Error(q1, q2, q3)
	}
}
