package caddymodule

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestMetricsInDocs compares the metrics and their labels with the table in
// docs/operations.md, and looks there for every value that a label can have.
func TestMetricsInDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	described := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(caddy_rudder_session_\\w+)` \\| *(.*?) *\\| ").FindAllStringSubmatch(string(text), -1) {
		labels := regexp.MustCompile(`\w+`).FindAllString(m[2], -1)
		slices.Sort(labels)
		described[m[1]] = labels
	}
	there := map[string]bool{}
	for _, c := range metrics.all {
		descs := make(chan *prometheus.Desc, 100)
		c.Describe(descs)
		close(descs)
		for d := range descs {
			m := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{([^}]*)\}`).FindStringSubmatch(d.String())
			labels := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
			slices.Sort(labels)
			there[m[1]] = true
			if got, known := described[m[1]]; !known || !slices.Equal(got, labels) {
				t.Errorf("%s%v is described as %v", m[1], labels, got)
			}
		}
	}
	delete(described, "caddy_rudder_session_source_configs_total") // package sourceconfig tests it
	for name := range described {
		if !there[name] {
			t.Errorf("%s is described, and not there", name)
		}
	}
	var words []string
	word := func(w string) {
		if w == "" {
			t.Errorf("there is a value without a word: the one behind those of\n%s", strings.Join(words, " "))
		} else if !strings.Contains(string(text), "`"+w+"`") {
			t.Errorf("%s is not described", w)
		}
		words = append(words, w)
	}
	for o := range requestOutcomes {
		word(o.word())
		if o.reason() != "" {
			word(o.reason())
		}
	}
	for r := range session.Reasons {
		word(r.String())
		word(r.Action().String())
	}
	for s := enrich.NotSkipped + 1; s < enrich.SkipReasons; s++ {
		word(s.String())
	}
	for c := range enrich.Causes {
		word(c.String())
	}
}

// TestReasonsInTroubleshooting: docs/troubleshooting.md mentions each reason for which an
// event has no session.
func TestReasonsInTroubleshooting(t *testing.T) {
	text, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Events have no sessionId\n")
	section, _, _ = strings.Cut(section, "\n## ")
	word := func(w string) {
		if !strings.Contains(section, "`"+w+"`") {
			t.Errorf("%s is not explained", w)
		}
	}
	for r := range session.Applied { // from Applied on, they are results of control calls
		if r.Action() != session.Stamp {
			word(r.String())
		}
	}
	for s := enrich.NotSkipped + 1; s < enrich.SkipReasons; s++ {
		word(s.String())
	}
}
