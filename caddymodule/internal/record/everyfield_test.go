package record

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestEveryFieldIsExported, also those that there are not yet: what is exported comes
// back as it was.
func TestEveryFieldIsExported(t *testing.T) {
	key := (&enrich.Request{WriteKey: "wk"}).Key("a", "")
	for _, s := range sessiontest.Samples(t) {
		r, err := Of(key, s)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Record
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		gotKey, got, err := back.Session()
		if err != nil || gotKey != key || !reflect.DeepEqual(got, s) {
			t.Errorf("%s\n came back as\n %+v, %v, not\n %+v", text, got, err, s)
		}
	}
}

// TestEveryKindHasAName: of segments and of what began them; and the inspector's page
// has words for each name.
func TestEveryKindHasAName(t *testing.T) {
	page, err := os.ReadFile("../../inspector/page/inspector.js")
	if err != nil {
		t.Fatal(err)
	}
	words := func(list, name string) bool {
		_, found, _ := strings.Cut(string(page), "\nconst "+list+" = {\n")
		found, _, _ = strings.Cut(found, "\n};")
		return strings.Contains(found, " "+name+": '")
	}
	for mode := session.Mode(0); mode.String() != "unknown"; mode++ {
		for origin := session.Origin(0); ; origin++ {
			s := session.Segment{Mode: mode, Origin: origin, From: session.At(1)}
			if mode == session.Manual || mode == session.Automatic || mode == session.Adopted {
				s.ID = session.MinID
			}
			if (&session.Session{Version: 1, Segments: []session.Segment{s}}).Check() != nil {
				break // there is no such origin
			}
			r := segmentOf(&s)
			if got, err := r.segment(); err != nil || r.Mode == "" || r.Origin == "" || got != s {
				t.Errorf("%+v is %+v, which is read as %+v, %v", s, r, got, err)
			}
			if !words("modes", r.Mode) || !words("origins", r.Origin) {
				t.Errorf("inspector.js does not know %s or %s", r.Mode, r.Origin)
			}
		}
	}
}
