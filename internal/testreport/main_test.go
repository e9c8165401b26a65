package main

import (
	"strings"
	"testing"
)

func reportOf(t *testing.T, lines ...string) (*report, string) {
	t.Helper()
	var out strings.Builder
	r := &report{out: &out, output: map[[2]string][]string{}}
	if err := r.read(strings.NewReader(strings.Join(lines, "\n"))); err != nil {
		t.Fatal(err)
	}
	r.print()
	return r, out.String()
}

// TestReport: all tests are counted; failures are reported with their output, others are
// not.
func TestReport(t *testing.T) {
	r, got := reportOf(t,
		`go: downloading a module`,
		`{"Action":"start","Package":"a"}`,
		`{"Action":"run","Package":"a","Test":"TestA"}`,
		`{"Action":"output","Package":"a","Test":"TestA","Output":"quiet\n"}`,
		`{"Action":"output","Package":"a","Test":"TestB","Output":"loud\n"}`,
		`{"Action":"pass","Package":"a","Test":"TestA/sub","Elapsed":9}`,
		`{"Action":"pass","Package":"a","Test":"TestA","Elapsed":1}`,
		`{"Action":"fail","Package":"a","Test":"TestB","Elapsed":2}`,
		`{"Action":"skip","Package":"a","Test":"TestC","Elapsed":0}`,
		`{"Action":"output","Package":"a","Output":"FAIL\n"}`,
		`{"Action":"fail","Package":"a","Elapsed":3.25}`,
		`{"Action":"pass","Package":"b","Elapsed":0.5}`,
	)
	if r.passed != 2 || r.failed != 1 || r.skipped != 1 {
		t.Errorf("%d passed, %d failed, %d skipped", r.passed, r.failed, r.skipped)
	}
	want := `go: downloading a module
FAIL  a  3.2 s
ok    b  0.5 s
slow  a TestB  2.0 s
slow  a TestA  1.0 s
slow  a TestC  0.0 s

=== a TestB
loud
FAIL  a TestB
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestReportEndings: a package that ends before its tests do fails the run, with the
// reason.
func TestReportEndings(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  []string
	}{
		"a panic, in a test that has no end": {
			[]string{
				`{"Action":"output","Package":"a","Test":"TestA","Output":"panic: here\n"}`,
				`{"Action":"output","Package":"a","Output":"FAIL\ta\n"}`,
				`{"Action":"fail","Package":"a","Elapsed":1}`,
			},
			[]string{"panic: here\n", "\nFAIL  a TestA (has not ended)\n"},
		},
		"TestMain": {
			[]string{`{"Action":"output","Package":"a","Output":"exit status 3\n"}`, `{"Action":"fail","Package":"a"}`},
			[]string{"exit status 3\n", "\nFAIL  a\n"},
		},
		"a package that does not build": {
			[]string{
				`{"ImportPath":"a [a.test]","Action":"build-output","Output":"a.go:1: undefined\n"}`,
				`{"ImportPath":"a [a.test]","Action":"build-fail"}`,
				`{"Action":"fail","Package":"a","FailedBuild":"a [a.test]"}`,
			},
			[]string{"a.go:1: undefined\n", "\nFAIL  a [a.test] does not build\n"},
		},
	} {
		r, got := reportOf(t, c.lines...)
		if r.failed == 0 {
			t.Errorf("%s: nothing failed", name)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", name, want, got)
			}
		}
	}
}
