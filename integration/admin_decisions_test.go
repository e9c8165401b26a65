package integration_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// TestAdminDecisions compares the explanation of an event with the decision that is made
// afterwards; explaining changes nothing.
func TestAdminDecisions(t *testing.T) {
	p := run(t, withAdmin("memory", "source wk1 {\nname shop\n}"))
	p.Start(t, "one", 1111111111)
	response, err := p.Client.Get(p.adminURL("decisions"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)

	batch := `{"batch":[` +
		`{"type":"track","event":"Bought","anonymousId":"one","messageId":"m1"},` +
		`{"type":"track","event":"Bought","anonymousId":"one","messageId":"m2","context":{"sessionId":7}},` +
		`{"type":"endSession","anonymousId":"one","messageId":"m3"},` +
		`{"type":"page","anonymousId":"one","messageId":"m4","context":{"sessionId":"x"}},` +
		`{"type":"page","userId":"nobody","messageId":"m5"},` +
		`{"type":"page"},{"type":"record","anonymousId":"one"},{"type":"page","anonymousId":"one","context":3}]}`
	want := []string{
		"consumed applied 0", // the startSession is before the watch
		"stamped manual_session 1111111111 start", "stamped manual_session 1111111111", "consumed applied 0 ended",
		"cleared session_ended 0", "untouched left_to_sdk 0", "untouched no_id 0", "untouched other_type 0", "untouched odd_context 0",
	}[1:]
	type decided struct {
		Action, Reason string
		SessionID      int64 `json:"session_id"`
		Start          bool  `json:"session_start"`
		Ended          bool
		Source         string
		Rules          []string
	}
	text := func(d decided) string {
		s := fmt.Sprintf("%s %s %d", d.Action, d.Reason, d.SessionID)
		if d.Start {
			s += " start"
		}
		if d.Ended {
			s += " ended"
		}
		if d.Source != "shop" {
			s += " of " + d.Source
		}
		return s
	}
	before := p.admin(t, "GET", "export", "").Body
	for range 2 {
		var explained []decided
		p.answers(t, "POST", "explain", fmt.Sprintf(`{"write_key":"wk1","endpoint":"batch","received":%d,"body":%s}`, p.Now.UnixMilli(), batch), &explained)
		var got []string
		for _, e := range explained {
			got = append(got, text(e))
			if len(e.Rules) < 2 {
				t.Errorf("%s: rules %q", text(e), e.Rules)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("explained %q", got)
		}
	}
	if after := p.admin(t, "GET", "export", "").Body; after != before {
		t.Errorf("explaining changed %s to %s", before, after)
	}
	p.Post(t, "/v1/batch", batch)
	for _, w := range want {
		var d decided
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		if text(d) != w {
			t.Errorf("watched %s, want %s", text(d), w)
		}
	}
	// A watcher is disconnected when the table is closed.
	if err := p.Load(t, withAdmin("file", "")); err != nil {
		t.Fatal(err)
	}
	if lines.Scan() {
		t.Errorf("came %s", lines.Text())
	}
}
