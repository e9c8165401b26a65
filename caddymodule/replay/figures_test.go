package replay

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// story is hand-made traffic whose figures can be counted by hand: SDKs' sessions with
// and without gaps of over half an hour, lost and duplicate marks, calls, odd lines.
func story() string {
	own := func(id, more string) string { return `"sessionId":` + id + more }
	mark := `,"sessionStart":true`
	return strings.Join([]string{
		// anna: one session of the SDK with a gap in it.
		eventLine("anna", 1, 0, own("1111111111", mark)),
		eventLine("anna", 2, 10, own("1111111111", "")),
		eventLine("anna", 3, 4000, own("1111111111", "")),
		// bert: two sessions of the SDK without a gap, one of them with two marks.
		eventLine("bert", 4, 4001, own("2222222222", mark)),
		eventLine("bert", 5, 4002, own("2222222222", mark)),
		eventLine("bert", 6, 4060, own("3333333333", "")),
		// carl: no session, and then a call.
		eventLine("carl", 7, 4100, ""),
		`{"path":"/v1/startSession","writeKey":"","receivedAt":"` + moment(4110) + `","body":{"anonymousId":"carl"}}` + "\n",
		"no JSON\n", "\n", "{}\n",
		`{"path":"/v1/startSession","writeKey":"wk","receivedAt":"` + moment(4110) + `","body":{"anonymousId":"carl","sessionId":4444444444}}` + "\n",
		`{"path":"/v1/startSession","writeKey":"wk","receivedAt":"` + moment(4111) + `","body":{"anonymousId":"carl","sessionId":4}}` + "\n",
		`{"path":"/other","writeKey":"wk","receivedAt":"` + moment(4111) + `","body":{}}` + "\n",
		`{"path":"/v1/batch","writeKey":"wk","receivedAt":"` + moment(4120) + `","body":{"batch":[{"type":"track","anonymousId":"carl","messageId":"m8"},{"type":"endSession","anonymousId":"carl"},{"type":"track","anonymousId":"carl","messageId":"m9","context":{"sessionId":5555555555,"sessionStart":true}},{"type":"merge"}]}}` + "\n",
	}, "")
}

func storyReport(t *testing.T, ids bool) *Report {
	t.Helper()
	_, report := replayText(t, story(), Options{
		Policies: []Policy{policy(t, "automatic proxy"), policy(t, "automatic sdk")}, IDs: ids, WriteKey: "wk",
	})
	return report
}

// Every figure of the report equals the one that was counted by hand.
func TestFigures(t *testing.T) {
	report := storyReport(t, false)
	in := &report.Input
	if in.Lines != 15 || in.Events != 7 || in.Requests != 5 || in.Batches != 0 || in.Blank != 1 || in.NotJSON.Lines != 1 || in.NotEvent.Lines != 1 {
		t.Errorf("%+v", in)
	}
	if in.Bytes != int64(len(story())) || in.First.UnixMilli() != first || in.Last.UnixMilli() != first+4120_000 {
		t.Errorf("%+v", in)
	}
	for i, want := range []PolicyReport{{
		Name: "automatic proxy", Events: 10, Users: 3, Stamped: 8, Cleared: 1, Untouched: 1,
		Controls: 3, RefusedControls: 1, Passed: 1,
		Changed: 6, Gained: 2, Lost: 1, MarksAdded: 3, MarksRemoved: 2,
		Split: 1, Merged: 1,
	}, {
		Name: "automatic sdk", Events: 10, Users: 3, Stamped: 1, Cleared: 1, Untouched: 8,
		Controls: 3, RefusedControls: 1, Passed: 1, Gained: 1, Lost: 1, MarksAdded: 1, MarksRemoved: 1,
	}} {
		got := report.Policies[i]
		got.Before, got.After, got.Reasons, got.Began, got.Ended = SessionReport{}, SessionReport{}, nil, nil, nil
		if !equalJSON(t, got, want) {
			t.Errorf("%+v, want\n%+v", got, want)
		}
	}
	proxy, sdk := &report.Policies[0], &report.Policies[1]
	if want := map[string]int64{"event": 4, "startSession": 2}; !maps.Equal(proxy.Began, want) {
		t.Errorf("began %v", proxy.Began)
	}
	if want := map[string]int64{"event": 1, "startSession": 2, "endSession": 1}; !maps.Equal(proxy.Ended, want) {
		t.Errorf("ended %v", proxy.Ended)
	}
	for name, c := range map[string]struct {
		got                                      *SessionReport
		sessions, unmarked, several, events, len int64
	}{
		"before": {&proxy.Before, 4, 1, 1, 7, 4001},
		"proxy":  {&proxy.After, 5, 0, 0, 8, 69},
		"sdk":    {&sdk.After, 4, 1, 1, 7, 4001},
		"again":  {&sdk.Before, 4, 1, 1, 7, 4001},
	} {
		if r := c.got; r.Sessions != c.sessions || r.WithoutStart != c.unmarked || r.WithStarts != c.several || r.Events != c.events || r.Seconds != float64(c.len) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if got := classCounts(proxy.Before.ByLength); !slices.Equal(got, []int64{2, 1, 0, 0, 0, 0, 0, 1, 0, 0}) {
		t.Errorf("by length: %v", got)
	}
	if got := classCounts(proxy.Before.ByEvents); !slices.Equal(got, []int64{2, 1, 1, 0, 0, 0, 0, 0, 0}) {
		t.Errorf("by events: %v", got)
	}
}

func classCounts(classes []Class) (all []int64) {
	for _, c := range classes {
		all = append(all, c.Sessions)
	}
	return all
}

func equalJSON(t *testing.T, a, b any) bool {
	t.Helper()
	one, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	other, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(one, other)
}

// The example of each reason is its first line, and has ids only with --ids.
func TestReasons(t *testing.T) {
	reasons := func(ids bool) map[string]ReasonReport {
		all := map[string]ReasonReport{}
		for _, r := range storyReport(t, ids).Policies[0].Reasons {
			all[r.Action+" "+r.Reason] = r
		}
		return all
	}
	all := reasons(false)
	for name, want := range map[string]struct {
		events int64
		line   int
	}{"stamped automatic_session": {7, 1}, "stamped manual_session": {1, 15}, "cleared session_ended": {1, 15}, "untouched other_type": {1, 15}} {
		if r := all[name]; r.Events != want.events || r.Example != (Place{"standard input", want.line}) || r.IDs != nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if t.Failed() {
		t.Logf("%+v", all)
	}
	if r := reasons(true)["cleared session_ended"]; r.IDs == nil || *r.IDs != (ExampleIDs{AnonymousID: "carl", MessageID: "m9"}) {
		t.Errorf("%+v", r.IDs)
	}
}

// The printed report equals the golden file, and has no ids.
func TestPrint(t *testing.T) {
	var b bytes.Buffer
	if err := storyReport(t, false).Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"anna", "m1", "1111111111", "wk"} {
		if strings.Contains(b.String(), id) {
			t.Errorf("it has the id %s", id)
		}
	}
	golden(t, "report.txt", b.Bytes())
	b.Reset()
	if err := storyReport(t, true).write(&b, true); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", b.Bytes())
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update writes it anew):\n%s", path, got)
	}
}

// Texts from outside cannot send control characters to a terminal.
func TestPrintSafe(t *testing.T) {
	path := file(t, "a\x1b[31mb", "x\n")
	_, report, err := replayAll(t, Options{Files: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	report.Policies[0].Name = "\x1b[32m"
	var b bytes.Buffer
	if err := report.Print(&b); err != nil || strings.ContainsRune(b.String(), '\x1b') {
		t.Errorf("%v %q", err, b.String())
	}
}
