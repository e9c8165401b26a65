package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// figures are the results of Go benchmarks, by name and unit.
type figures map[string]map[string]float64

// goBench compiles the benchmarks of a package.
func (b *bench) goBench(pkg string) (binary string, err error) {
	binary = filepath.Join(b.dir, filepath.Base(pkg)+".test")
	build := exec.Command("go", "test", "-c", "-o", binary, pkg)
	build.Dir = b.parts.root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %v\n%s", pkg, err, out)
	}
	return binary, nil
}

// runBench runs compiled benchmarks once.
func (b *bench) runBench(binary, pattern string, args ...string) (figures, error) {
	args = append([]string{"-test.run", "^$", "-test.bench", pattern, "-test.benchtime", b.benchTime, "-test.benchmem"}, args...)
	run := exec.Command(binary, args...)
	run.Dir = b.dir
	out, err := run.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %v\n%s", run, err, out)
	}
	return readFigures(out), nil
}

// processors matches the suffix of a benchmark's name, which is GOMAXPROCS.
var processors = regexp.MustCompile(`-\d+$`)

func readFigures(out []byte) figures {
	f := figures{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		units := map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				units[fields[i+1]] = v
			}
		}
		f[processors.ReplaceAllString(fields[0], "")] = units
	}
	return f
}

// series collects one figure of several runs.
func series(runs []figures, name, unit string) ([]float64, error) {
	var values []float64
	for _, run := range runs {
		v, ok := run[name][unit]
		if !ok {
			return nil, fmt.Errorf("no %s of %s", unit, name)
		}
		values = append(values, v)
	}
	return values, nil
}

// repeat runs benchmarks several times.
func (b *bench) repeat(times int, binary, pattern string, args ...string) ([]figures, error) {
	var runs []figures
	for range times {
		f, err := b.runBench(binary, pattern, args...)
		if err != nil {
			return nil, err
		}
		runs = append(runs, f)
	}
	return runs, nil
}

// enrich compares the handler's work on the bytes of a body with the data plane's own
// validation of them, and counts allocations.
func (b *bench) enrich() error {
	binary, err := b.goBench("./enrich")
	if err != nil {
		return err
	}
	// The benchmark itself measures both in turns.
	ratios, err := b.repeat(min(b.rounds, 5), binary, `^Benchmark(Ratio|Varied)$/^(1|100users)$`, "-test.benchtime", "1x")
	if err != nil {
		return err
	}
	for _, shape := range []struct {
		name, what string
		goal       bound
	}{
		{"Ratio/1", "one event", atLeast(1.3)},
		{"Ratio/100users", "batch of 100, as many users", atLeast(1.3)},
		{"Varied/100users", "batches of 100 that differ", bound{}},
	} {
		values, err := series(ratios, "Benchmark"+shape.name, "MB/s")
		if err != nil {
			return err
		}
		references, err := series(ratios, "Benchmark"+shape.name, "enriched/valid")
		if err != nil {
			return err
		}
		for i := range references {
			references[i] = values[i] / references[i]
		}
		b.table.compare("validating and enriching, bytes per second, "+shape.what, " MB/s", values, "gjson.ValidBytes", references, shape.goal)
	}
	counts, err := b.runBench(binary, `^BenchmarkEnrich$/^enrich$/^(1|100|1000)$`)
	if err != nil {
		return err
	}
	var allocations []float64
	for _, shape := range []string{"1", "100", "1000"} {
		count, err := series([]figures{counts}, "BenchmarkEnrich/enrich/"+shape, "allocs/op")
		if err != nil {
			return err
		}
		allocations = append(allocations, count[0])
	}
	perMessage := (allocations[2] - allocations[0]) / 999
	b.table.add(row{
		what:   "allocations per request of 1, 100, 1000 events",
		figure: fmt.Sprintf("%.0f, %.0f, %.0f", allocations[0], allocations[1], allocations[2]),
		ratio:  fmt.Sprintf("%.3f per message", perMessage),
		goal:   "0 per message", reached: bound{limit: 0.005, unit: "x"}.reached(perMessage),
	})
	return nil
}

// lookup compares the look-up of a known session, on two processors, with that in a
// plain LRU with as many entries.
func (b *bench) lookup() error {
	binary, err := b.goBench("./sessionstate")
	if err != nil {
		return err
	}
	runs, err := b.repeat(min(b.rounds, 5), binary, `^BenchmarkKnown$/^impl=(golang-lru|table)$`, "-test.cpu", "2")
	if err != nil {
		return err
	}
	values, err := series(runs, "BenchmarkKnown/impl=table", "ns/op")
	if err != nil {
		return err
	}
	references, err := series(runs, "BenchmarkKnown/impl=golang-lru", "ns/op")
	if err != nil {
		return err
	}
	b.table.compare("a known session's look-up, 2 processors", " ns", values, "golang-lru alone", references, atMost(1.3))
	return nil
}
