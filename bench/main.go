// Command bench measures the cost of rudder_session, compared with Caddy without it and
// with nginx that does the same in Lua, and prints a table.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options say what is measured, and for how long.
type options struct {
	rounds int
	slice  time.Duration // how long a contestant is loaded, each round
	rows   []string
	// only are the contestants whose processor time is measured; also are additional
	// variants.
	only, also []string
	// before is the path of an earlier build of Caddy, with which the contestants that
	// run the handler are compared; empty for none.
	before string
	// profiles is the directory for CPU profiles of each Caddy; empty for none.
	profiles string

	sessions  int // of the memory row
	held      int // requests at a time, of the memory row
	benchTime string
}

// sections are the groups of rows, in the order of the table.
var sections = []struct {
	name    string
	measure func(*bench) error
}{
	{"cpu", (*bench).cpu},
	{"gzip", (*bench).gzip},
	{"http2", (*bench).http2},
	{"encoding", (*bench).encoding},
	{"latency", (*bench).latency},
	{"enrich", (*bench).enrich},
	{"lookup", (*bench).lookup},
	{"adopt", (*bench).adopt},
	{"memory", (*bench).memory},
	{"growth", (*bench).growth},
	{"replay", (*bench).replay},
}

// bench is a run.
type bench struct {
	options
	*field
	recorded recorded
	started  map[string]*contestant
	table    table
}

func main() {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	root := flag.String("root", "..", "the repository")
	upstream := flag.String("upstream", "", "be the upstream at this address; the benchmark starts itself so")
	quick := flag.Bool("quick", false, "measure everything for a moment only, to see that it runs")
	rounds := flag.Int("rounds", 11, "how often everything is measured")
	slice := flag.Duration("duration", 2*time.Second, "how long each contestant is loaded, each round")
	rows := flag.String("rows", strings.Join(names, ","), "which rows")
	profiles := flag.String("profiles", "", "write CPU profiles of the Caddys into this directory, in one more round")
	only := flag.String("contestants", strings.Join(everyone, ";"), "whose processor time is measured, with ; between")
	var also []string
	flag.Func("also", "one more whose processor time is measured, with other environment variables than another: \"Caddyfile.example; GOGC=400\"; BENCH_CADDY is another program, BENCH_CADDYFILE another configuration, BENCH_PLAIN=1 says that the handler is not in it", func(name string) error {
		also = append(also, name)
		return nil
	})
	before := flag.String("before", "", "compare the processor time of the handler with that of another build of Caddy, in the same rounds: its absolute path")
	flag.Parse()
	if *upstream != "" {
		fatal(runUpstream(*upstream))
	}
	if *before != "" {
		var err error
		*before, err = exec.LookPath(*before)
		fatal(err)
		*before, err = filepath.Abs(*before)
		fatal(err)
	}
	b := &bench{options: options{
		rounds: *rounds, slice: *slice, rows: strings.Split(*rows, ","), profiles: *profiles,
		only: strings.Split(*only, ";"), also: also, before: *before,
		sessions: 1_000_000, held: 32, benchTime: "300ms",
	}, started: map[string]*contestant{}}
	if *quick {
		users = 2000
		b.rounds, b.slice, b.sessions, b.held, b.benchTime = 1, 100*time.Millisecond, 20_000, 2, "1x"
	}
	for _, row := range b.rows {
		if !slices.Contains(names, row) {
			fatal(fmt.Errorf("-rows: %q is none of %s", row, strings.Join(names, ", ")))
		}
	}
	fatal(b.run(*root))
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(root string) error {
	parts, err := findParts(root)
	if err != nil {
		return err
	}
	if b.recorded, err = readCapture(filepath.Join(parts.root, "testdata/captures/js-v3.jsonl")); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.field = &field{parts: parts, self: self, dir: dir}
	defer b.stop()
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stopped
		b.stop()
		os.RemoveAll(dir)
		os.Exit(130)
	}()
	if err := b.startUpstream(); err != nil {
		return err
	}
	b.table.print(machine())
	// Print what was measured, even if a later row fails.
	defer b.table.finish()
	for _, s := range sections {
		if slices.Contains(b.rows, s.name) {
			if err := s.measure(b); err != nil {
				return fmt.Errorf("%s: %v", s.name, err)
			}
		}
	}
	return nil
}
