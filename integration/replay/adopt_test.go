package replay_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestReplayAdopted replays all captured traffic with automatic adopt: only start marks
// and invalid ids may change. It logs how many marks were added and removed in each
// file, for docs/sdks.md.
func TestReplayAdopted(t *testing.T) {
	files, err := filepath.Glob("testdata/captures/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			p := proxytest.Run(t, proxytest.Setup{Session: "automatic adopt"})
			var kept, added, removed, invalid int
			marked := map[[3]string]string{} // the message that has a session's mark
			all := captures(t, name)
			for i := range all {
				c := &all[i]
				if !c.events() || c.Body == nil {
					continue
				}
				a := forward(t, p, c)
				before, after := adoptedMessages(t, c.Body), adoptedMessages(t, []byte(proxytest.Unzip(t, a)))
				if len(before) != len(after) {
					t.Fatalf("%s: %d messages, %d sent", c.URL, len(after), len(before))
				}
				for j := range before {
					had, has := takeMark(before[j]), takeMark(after[j])
					if takeInvalidID(before[j]) {
						invalid++
					}
					if was, is := text(t, before[j]), text(t, after[j]); was != is {
						t.Errorf("%s: arrived\n%s, sent\n%s", c.URL, is, was)
					}
					switch {
					case had && has:
						kept++
					case has:
						added++
					case had:
						removed++
					}
					if has && c.status() < http.StatusBadRequest {
						oneMark(t, marked, after[j])
					}
				}
			}
			t.Logf("start marks: %d kept, %d added, %d removed; invalid ids: %d removed", kept, added, removed, invalid)
		})
	}
}

// oneMark checks that only one message of a session has the mark.
func oneMark(t *testing.T, marked map[[3]string]string, message map[string]any) {
	t.Helper()
	context, _ := message["context"].(map[string]any)
	session := [3]string{text(t, message["anonymousId"]), text(t, message["userId"]), text(t, context["sessionId"])}
	if message["anonymousId"] != nil {
		session[1] = ""
	}
	id := text(t, message["messageId"])
	if first, ok := marked[session]; ok && first != id {
		t.Errorf("session %v has the mark on %s and on %s", session, first, id)
	}
	marked[session] = id
}

func adoptedMessages(t *testing.T, body []byte) (messages []map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var all map[string]any
	if err := decoder.Decode(&all); err != nil {
		t.Fatal(err)
	}
	batch, ok := all["batch"].([]any)
	if !ok {
		return []map[string]any{all}
	}
	for _, m := range batch {
		messages = append(messages, m.(map[string]any))
	}
	return messages
}

// takeMark removes the start mark from a message, and reports whether it was
// there.
func takeMark(message map[string]any) bool {
	context, _ := message["context"].(map[string]any)
	mark, _ := context["sessionStart"].(bool)
	delete(context, "sessionStart")
	return mark
}

// takeInvalidID removes a session id that is not valid from a message, and reports
// whether there was one.
func takeInvalidID(message map[string]any) bool {
	context, _ := message["context"].(map[string]any)
	id, there := context["sessionId"]
	if !there {
		return false
	}
	n, _ := id.(json.Number)
	if v, err := n.Int64(); err == nil && v >= session.MinID && v <= session.MaxID {
		return false
	}
	delete(context, "sessionId")
	return id != nil
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
