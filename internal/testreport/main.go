// Testreport reads the output of `go test -json` and reports it for people: a line for each
// package, with its time, when it ends; then the slowest tests; then the whole output of
// each failed test, by name, and no output of the others.
// It writes "PASSED FAILED SKIPPED" as numbers to the file that -counts names,
// and exits with status 1 if anything failed.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// slowest is how many of the slowest tests are listed.
const slowest = 10

// event is a line of `go test -json`, as `go doc test2json` describes it.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a package that does not build
	// FailedBuild is the package that does not build, in the event of one that fails
	// because of it.
	FailedBuild string
	Test        string
	Output      string
	Elapsed     float64 // seconds
}

// result is the result of a test or, without a name, of a package.
type result struct {
	pkg, test string
	elapsed   float64
	output    []string
}

func (r result) name() string {
	if r.test == "" {
		return r.pkg
	}
	return r.pkg + " " + r.test
}

// report is the state of a run so far.
type report struct {
	out                     io.Writer
	passed, failed, skipped int
	output                  map[[2]string][]string // of tests that have not ended, and of packages
	tests                   []result               // that ended, without subtests
	failures                []result
}

// add handles an event.
func (r *report) add(e event) {
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.output[key] = append(r.output[key], e.Output)
	case "build-output":
		key = [2]string{e.ImportPath, ""}
		r.output[key] = append(r.output[key], e.Output)
	case "build-fail":
		r.failed++
		r.fail(result{pkg: e.ImportPath + " does not build"}, [2]string{e.ImportPath, ""})
	case "pass", "fail", "skip":
		r.end(e, key)
	}
}

// end handles the last event of a test or of a package.
func (r *report) end(e event, key [2]string) {
	res := result{pkg: e.Package, test: e.Test, elapsed: e.Elapsed}
	if e.Test == "" {
		r.endPackage(e, res, key)
		return
	}
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		r.skipped++
	default:
		r.failed++
		r.fail(res, key)
	}
	delete(r.output, key)
	if !strings.Contains(e.Test, "/") {
		r.tests = append(r.tests, res)
	}
}

func (r *report) endPackage(e event, res result, key [2]string) {
	word := map[string]string{"pass": "ok", "fail": "FAIL", "skip": "-"}[e.Action]
	fmt.Fprintf(r.out, "%-4s  %s  %.1f s\n", word, e.Package, e.Elapsed)
	if e.Action != "fail" {
		delete(r.output, key)
		return
	}
	// A panic, a time limit or a race ends the process: its running tests have no last
	// event.
	for k := range r.output {
		if k[0] == e.Package && k[1] != "" {
			r.failed++
			r.fail(result{pkg: k[0], test: k[1] + " (has not ended)"}, k)
		}
	}
	if e.FailedBuild != "" {
		return // it was reported already
	}
	if !slices.ContainsFunc(r.failures, func(f result) bool { return f.pkg == e.Package }) {
		r.failed++
		r.fail(res, key)
	}
}

func (r *report) fail(res result, key [2]string) {
	res.output = r.output[key]
	delete(r.output, key)
	r.failures = append(r.failures, res)
}

// print writes the end of the report.
func (r *report) print() {
	slices.SortStableFunc(r.tests, func(a, b result) int {
		if a.elapsed == b.elapsed {
			return strings.Compare(a.name(), b.name())
		}
		if a.elapsed > b.elapsed {
			return -1
		}
		return 1
	})
	for _, t := range r.tests[:min(slowest, len(r.tests))] {
		fmt.Fprintf(r.out, "slow  %s  %.1f s\n", t.name(), t.elapsed)
	}
	for _, f := range r.failures {
		fmt.Fprintf(r.out, "\n=== %s\n%s", f.name(), strings.Join(f.output, ""))
	}
	for _, f := range r.failures {
		fmt.Fprintf(r.out, "FAIL  %s\n", f.name())
	}
}

// read handles all events; a line that is not an event is printed as it is.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if len(line) > 0 {
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				r.add(e)
			} else {
				fmt.Fprintf(r.out, "%s", line)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	counts := flag.String("counts", "", "the `file` to write the numbers to")
	flag.Parse()
	r := &report{out: os.Stdout, output: map[[2]string][]string{}}
	err := r.read(os.Stdin)
	r.print()
	if err == nil && *counts != "" {
		err = os.WriteFile(*counts, fmt.Appendf(nil, "%d %d %d\n", r.passed, r.failed, r.skipped), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if r.failed > 0 {
		os.Exit(1)
	}
}
