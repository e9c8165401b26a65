package replay

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// Which lines are decided, and under which write key: the same as in the handler.
func TestWriteKeys(t *testing.T) {
	basic := func(key string) string {
		return `["Authorization","Basic ` + base64.StdEncoding.EncodeToString([]byte(key+":")) + `"]`
	}
	headers := func(all ...string) string { return `,"rawHeaders":[` + strings.Join(all, ",") + `]` }
	const good = `,"writeKey":"good"`
	for _, c := range []struct {
		path, more string
		fallback   string
		want       string // decided, passed or refused
	}{
		{"/v1/track", good, "", "decided"},
		{"/v1/track", `,"writeKey":"bad"`, "good", "passed"},
		{"/v1/track", "", "", "passed"},
		{"/v1/track", "", "good", "decided"},
		{"/v1/track", headers(basic("good")), "", "decided"},
		{"/v1/track", headers(basic("good")), "bad", "decided"},
		{"/v1/track", headers(basic("bad"), basic("good")), "", "passed"},
		{"/v1/track", headers(basic("bad")) + good, "", "decided"},
		{"/v1/track", headers(`["authorization","basic Z29vZDo="]`), "", "decided"},
		{"/v1/track", headers(`["Authorization","Bearer Z29vZDo="]`), "", "passed"},
		{"/v1/track?writeKey=good", "", "", "passed"},
		{"/v1/track?writeKey=bad", headers(basic("good")), "", "decided"},
		{"/beacon/v1/batch?writeKey=good", "", "", "decided"},
		{"/beacon/v1/batch?writeKey=good", headers(`["Accept","*/*"]`), "bad", "decided"},
		{"/beacon/v1/batch?writeKey=bad", headers(basic("good")), "", "passed"},
		{"/beacon/v1/batch?writeKey=bad", good, "", "decided"},
		{"/v1/startSession?writeKey=good", "", "", "decided"},
		{"/v1/startSession?writeKey=bad", headers(basic("good")), "", "decided"},
		{"/v1/startSession?writeKey=bad", "", "", "refused"},
		{"/v1/startSession", "", "", "refused"},
		{"/v1/startSession", headers(basic("good"), `["X-Rudder-Job-Run-Id","1"]`), "", "decided"},
		{"/v1/track", headers(basic("good"), `["x-rudder-job-run-id","1"]`), "", "passed"},
		{"/v1/track", good + `,"method":"PUT"`, "", "passed"},
		{"/v1/startSession", good + `,"method":"GET"`, "", "passed"},
		{"/v1/track", good + `,"method":"POST"`, "", "decided"},
		{"//beacon/v1/batch?writeKey=good", good, "", "passed"},
		{"/v1/tr%61ck", good, "", "passed"},
		{"/x/v1/track", good, "", "passed"},
	} {
		name := c.path + c.more + " " + c.fallback
		body := `{"type":"track","anonymousId":"a"}`
		if strings.Contains(c.path, "batch") {
			body = `{"batch":[` + body + `]}`
		}
		text := fmt.Sprintf(`{"path":%q,"receivedAt":"%s"%s,"body":%s}`+"\n", c.path, moment(1), c.more, body)
		o := Options{Policies: []Policy{policy(t, "automatic proxy\nwrite_keys good")}, WriteKey: c.fallback, OmitControls: true}
		out, report := replayText(t, text, o)
		p := &report.Policies[0]
		got := map[bool]string{p.Events+p.Controls == 1: "decided", p.Passed == 1: "passed", p.RefusedControls == 1: "refused"}[true]
		if got != c.want || (got == "passed") != (out == text) || strings.Contains(c.path, "Session") && got != "passed" && out != "" {
			t.Errorf("%s: %s, %q", name, got, out)
		}
	}
}

// Batches as the gateway stores them; calls in them are marked, or left out.
func TestGatewayBatches(t *testing.T) {
	line := func(messages string) string {
		return ` {"writeKey":"wk" ,"batch":[` + messages + `],"receivedAt":"` + moment(1) + `"} ` + "\n"
	}
	event := `{"type":"track","anonymousId":"a","messageId":"m"}`
	stamped := `{"context":{"sessionId":1795424401000,"sessionStart":true},"type":"track","anonymousId":"a","messageId":"m"}`
	call := `{"type":"resetSession","anonymousId":"a"}`
	track := `{"type":"track","event":"endSession","anonymousId":"b"}`
	text := line(event) + line(call+","+event+" , "+track) + line(call)
	out, report := replayText(t, text, Options{})
	mark := func(kind, message string) string { return `{"rudderSessionControl":"` + kind + `",` + message[1:] }
	want := line(stamped) + line(mark("resetSession", call)+","+stamped+" , "+mark("endSession", track)) + line(mark("resetSession", call))
	if out != want {
		t.Errorf("marked:\n%s, want\n%s", out, want)
	}
	if p, in := &report.Policies[0], &report.Input; p.Controls != 3 || p.Stamped != 2 || in.Batches != 3 {
		t.Errorf("%+v", p)
	}
	out, _ = replayText(t, text, Options{OmitControls: true})
	if want := line(stamped) + line(stamped+"  "); out != want {
		t.Errorf("left out:\n%s, want\n%s", out, want)
	}
}

// A data plane's refusal for good frees the start mark, any other answer does not.
func TestStatus(t *testing.T) {
	for status, free := range map[string]bool{"400": true, "401": true, "408": false, "429": false, "503": false, `"destroyed"`: false, "null": false} {
		line := func(message int, status string) string {
			return fmt.Sprintf(`{"path":"/v1/track","writeKey":"wk","receivedAt":"%s","status":%s,"body":{"anonymousId":"a","messageId":"m%d"}}`+"\n", moment(1), status, message)
		}
		out, _ := replayText(t, line(1, status)+line(2, "200"), Options{})
		if got := strings.Count(out, `"sessionStart":true`) == 2; got != free {
			t.Errorf("%s: the second has the mark: %v", status, got)
		}
	}
}
