package enrich

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// seedsOfNames returns bodies with each key that is read, in each place where it could
// be read, and with each track that is more than a track: what is read of them is
// compared with the slow reading, so that that learns of new ones, too.
func seedsOfNames() (bodies [][]byte) {
	for n := otherName + 1; int(n) < len(names); n++ {
		for _, value := range []string{`"a"`, `7`} {
			for _, ids := range []string{``, `"anonymousId":"a",`} {
				member := fmt.Sprintf("%q:%s", names[n], value)
				for _, message := range []string{
					`{"type":"track",` + ids + member + `}`,
					`{"type":"track",` + ids + `"context":{` + member + `}}`,
					`{"type":"track",` + ids + `"context":{"library":{` + member + `},"sources":{` + member + `}}}`,
					`{"type":"track",` + ids + `"event":"startSession","properties":{` + member + `}}`,
				} {
					bodies = append(bodies, []byte(`{`+member+`,"batch":[`+message+`]}`))
				}
			}
		}
	}
	for _, c := range coldStarts {
		bodies = append(bodies, fmt.Appendf(nil, `{"batch":[{"type":"track","anonymousId":"a","event":%q,"channel":"mobile",`+
			`"properties":{"from_background":false},"context":{"sessionId":1795424331,"sessionStart":true}}]}`, c.event))
	}
	return bodies
}

// TestNames: each key is found, whatever hashes the others have.
func TestNames(t *testing.T) {
	for n := otherName + 1; int(n) < len(names); n++ {
		if names[n] == "" {
			t.Errorf("name %d has no text", n)
		} else if got := nameOf([]byte(names[n])); got != n {
			t.Errorf("%q is read as %q: their hashes are the same, and hashOf needs other factors", names[n], names[got])
		}
		if len(names[n])*len(`\u0000`) > longestName {
			t.Errorf("%q is longer than longestName allows", names[n])
		}
	}
}

// TestColdStartsInDocs looks for the events that are cold starts in docs/sessions.md.
func TestColdStartsInDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/sessions.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range coldStarts {
		if c.start == session.NoColdStart || !strings.Contains(string(text), "`"+c.event+"`") {
			t.Errorf("%s is not described", c.event)
		}
	}
}

// TestTypes: each endpoint of an event has a type of the same name in batches.
func TestTypes(t *testing.T) {
	for e := Batch + 1; e < Endpoints; e++ {
		if got, known := typeOf([]byte(`"` + e.String() + `"`)); !known || got != e {
			t.Errorf("the type %s is %v, %v", e, got, known)
		}
		if refTypes[strings.ToLower(e.String())] != e {
			t.Errorf("the slow reading does not know the type %s", e)
		}
	}
}
