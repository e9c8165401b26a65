package caddymodule

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPathsInDocs: docs/sessions.md and docs/control-api.md have each path that is
// read, and the first of them no other.
func TestPathsInDocs(t *testing.T) {
	sessions, control := document(t, "sessions.md"), document(t, "control-api.md")
	_, section, _ := strings.Cut(sessions, "\nOnly these requests are read:\n")
	section, _, _ = strings.Cut(section, "\nPaths must match exactly")
	for path, endpoint := range posts {
		if where := map[bool]string{false: section, true: control}[endpoint.Control()]; !strings.Contains(where, "`"+path+"`") &&
			!strings.Contains(where, "POST "+path) {
			t.Errorf("%s is not described", path)
		}
	}
	for _, m := range regexp.MustCompile("`(/[^`]+)`").FindAllStringSubmatch(section, -1) {
		if _, known := posts[m[1]]; !known {
			t.Errorf("%s is described, and is none of %v", m[1], slices.Sorted(maps.Keys(posts)))
		}
	}
}

// errorTexts finds the texts of errors in the files that answer at the endpoints. What
// ends with a plus is the beginning of one.
var errorTexts = map[string]*regexp.Regexp{
	"control.go":             regexp.MustCompile(`(?:problem\(w, r, [\w.]+, |text(?:NoWriteKey|InvalidWriteKey|Unavailable) += )("[^"]+")`),
	"../enrich/control.go":   regexp.MustCompile(`errors\.New\(("[^"]+"(?: \+)?)`),
	"../enrich/sessionid.go": regexp.MustCompile(`errors\.New\(("[^"]+"(?: \+)?)`),
}

// TestErrorsInDocs looks for the texts of errors in docs/control-api.md.
func TestErrorsInDocs(t *testing.T) {
	_, section, _ := strings.Cut(document(t, "control-api.md"), "\n### Errors\n")
	section, _, _ = strings.Cut(section, "\n### ")
	n := 0
	for file, pattern := range errorTexts {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
			literal, goesOn := strings.CutSuffix(m[1], " +")
			said, err := strconv.Unquote(literal)
			if err != nil {
				t.Fatal(err)
			}
			n++
			inJSON, plain := `{"error":"`+said, strings.TrimSpace(said)
			if !goesOn {
				inJSON, plain = inJSON+"\"}`", plain+"`"
			}
			if !strings.Contains(section, "`"+inJSON) && !strings.Contains(section, "`"+plain) {
				t.Errorf("%s: %q is not in the table", file, said)
			}
		}
	}
	if rows := strings.Count(section, "\n| 4") + strings.Count(section, "\n| 5"); n != rows {
		t.Errorf("%d texts were found, and %d are described", n, rows)
	}
}
