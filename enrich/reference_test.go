package enrich

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// The reference does in a slow and obvious way what the package does fast: it parses the
// body into a tree, and looks at the tree.

// refMessages returns a body's messages, or nil if the body is to be left alone.
func refMessages(r *Request, body []byte) []*node {
	if !gjson.ValidBytes(body) || len(body) > r.MaxBody {
		return nil
	}
	root := parseTree(body, 0)
	if root.kind != '{' || root.depth() > maxDepth {
		return nil
	}
	if r.Endpoint != Batch {
		return []*node{root}
	}
	switch batch := root.get("batch"); {
	case batch == nil:
		return nil
	case batch.kind == '{':
		return []*node{batch}
	case batch.kind == '[':
		for _, e := range batch.elements {
			if e.kind != '{' {
				return nil
			}
		}
		return batch.elements
	}
	return nil
}

var refTypes = map[string]Endpoint{
	"identify": Identify, "track": Track, "page": Page, "screen": Screen, "group": Group, "alias": Alias,
	"startsession": StartSession, "endsession": EndSession, "resetsession": ResetSession,
}

// refEvent reads one message; key is "" if the proxy leaves it alone.
func refEvent(r *Request, body []byte, m *node) (key string, e session.Event) {
	endpoint := r.Endpoint
	if endpoint == Batch {
		var ok bool
		if endpoint, ok = refTypes[strings.ToLower(strings.TrimSpace(m.get("type").text(body)))]; !ok {
			return "", e
		}
	}
	ctx := m.get("context")
	if job := ctx.get("sources").get("job_run_id"); !job.null() && job.raw(body) != `""` {
		return "", e
	}
	name := m.get("event").text(body)
	idNode := m.get("sessionId")
	switch {
	case endpoint == StartSession:
		e.Kind = session.Start
	case endpoint == EndSession:
		e.Kind = session.End
	case endpoint == ResetSession:
		e.Kind = session.Reset
	case endpoint == Identify:
		e.Kind = session.Identify
	case endpoint == Track:
		idNode = m.get("properties").get("sessionId")
		switch name {
		case r.Names.Start:
			e.Kind = session.Start
		case r.Names.End:
			e.Kind = session.End
		case r.Names.Reset:
			e.Kind = session.Reset
		}
	}
	if !e.Kind.Control() && ctx != nil && ctx.kind != '{' && ctx.kind != 'n' {
		return "", e
	}
	channel := m.get("channel").text(body)
	e.Server = channel == "server"
	anonymous, user := refID(body, m.get("anonymousId")), refID(body, m.get("userId"))
	if anonymous == "" && user == "" {
		return "", e
	}
	if anonymous == "" || e.Server && user != "" {
		key = Key(r.WriteKey, "", user)
	} else {
		key = Key(r.WriteKey, anonymous, "")
		e.JoinOnly = e.Server
	}
	if user != "" && endpoint != Alias {
		e.User = session.UserID(hash(0, []byte(user)))
	}
	original, sent := m.get("originalTimestamp"), m.get("sentAt")
	if sent.null() && r.Endpoint == Batch {
		sent = parseTree(body, 0).get("sentAt")
	}
	if original.null() {
		original = m.get("timestamp")
	}
	if e.Server && !m.get("timestamp").null() {
		original, sent = m.get("timestamp"), nil
	}
	e.Times.Original, e.Times.HasOriginal = parseTime([]byte(original.raw(body)))
	if e.Times.HasOriginal {
		e.Times.Sent, e.Times.HasSent = parseTime([]byte(sent.raw(body)))
	}
	untimed := original.null()
	if id := m.get("messageId"); id != nil && id.kind == '"' && refID(body, id) != "" {
		e.Message = session.MessageID(hash(e.Kind, []byte(refID(body, id))))
	} else if !e.Kind.Control() && untimed {
		e.Message = session.MessageID(1 + m.start) // unique in the body
	} else if !e.Kind.Control() {
		e.Message = session.MessageID(hash(e.Kind, []byte(m.raw(body))))
	}
	if e.Kind.Control() {
		if e.Kind == session.Start {
			e.ID, _ = parseSessionID([]byte(idNode.raw(body)))
		}
		return key, e
	}
	id, start := ctx.get("sessionId"), ctx.get("sessionStart")
	e.HasIDKey, e.HasStartKey = id != nil, start != nil
	e.HasSessionID = !id.null()
	e.HasSessionStart = start.raw(body) == "true"
	if e.HasSessionID && r.Policy.Automatic == session.AutomaticAdopt {
		e.ID, _ = parseSessionID([]byte(id.raw(body)))
	}
	library := ctx.get("library").get("name").text(body)
	e.Mobile = channel == "mobile" || slices.Contains([]string{"com.rudderstack.android.sdk.core",
		"com.rudderstack.sdk.kotlin.android", "rudder-ios-library", "rudder-sdk-swift"}, library)
	e.LoggedOut = channel == "web" && m.get("userId").raw(body) == `""`
	if endpoint == Track {
		switch name {
		case "Application Opened":
			if m.get("properties").get("from_background").raw(body) == "false" {
				e.ColdStart = session.Opened
			}
		case "Application Installed", "Application Updated":
			if e.Mobile && e.HasSessionStart {
				e.ColdStart = session.Updated
			}
		}
	}
	return key, e
}

// expectation is the expected result for one message.
type expectation struct {
	message  *node
	control  bool
	decision session.Decision
}

// refDecide asks a table about all messages of a body, key by key.
func refDecide(t *testing.T, table *sessionstate.Table, r *Request, body []byte, messages []*node) []expectation {
	t.Helper()
	expected := make([]expectation, len(messages))
	keys := map[string][]int{}
	events := make([]session.Event, len(messages))
	for i, m := range messages {
		expected[i].message = m
		var key string
		if key, events[i] = refEvent(r, body, m); key != "" {
			expected[i].control = events[i].Kind.Control()
			keys[key] = append(keys[key], i)
		}
	}
	for key, indices := range keys {
		var own []session.Event
		for _, i := range indices {
			own = append(own, events[i])
		}
		decisions := make([]session.Decision, len(own))
		if err := table.Apply(context.Background(), key, &session.Request{Received: r.Received, Policy: r.Policy, Events: own}, decisions); err != nil {
			t.Fatal(err)
		}
		for n, i := range indices {
			expected[i].decision = decisions[n]
		}
	}
	return expected
}

// refDecided returns the decisions of verdicts as expectations, to check that they were
// carried out.
func refDecided(verdicts []Verdict, messages []*node) []expectation {
	expected := make([]expectation, len(messages))
	for i, m := range messages {
		v := &verdicts[i]
		expected[i] = expectation{message: m, decision: v.Decision, control: v.Skip == NotSkipped && v.Kind.Control()}
	}
	return expected
}

// stripped returns the bytes of a message without its session fields, without the commas
// next to which they may be, and without a context that has nothing else.
func stripped(body []byte, m *node) []byte {
	drop := make([]bool, len(body))
	mark := func(from, to int) {
		for i := from; i < to; i++ {
			drop[i] = true
		}
	}
	for _, c := range m.commas {
		drop[c] = true
	}
	for _, member := range m.members {
		ctx := member.value
		if member.key == "context" && ctx.kind == 'n' {
			mark(member.keyStart, ctx.end)
		}
		if member.key != "context" || ctx.kind != '{' {
			continue
		}
		for _, c := range ctx.commas {
			drop[c] = true
		}
		for _, f := range ctx.members {
			if f.key == "sessionId" || f.key == "sessionStart" {
				mark(f.keyStart, f.value.end)
			}
		}
		left := slices.ContainsFunc(drop[ctx.start+1:ctx.end-1], func(dropped bool) bool { return !dropped })
		if !left {
			mark(member.keyStart, ctx.end)
		}
	}
	var out bytes.Buffer
	for i := m.start; i < m.end; i++ {
		if !drop[i] {
			out.WriteByte(body[i])
		}
	}
	return out.Bytes()
}

// check compares the result of Enrich for a body with the expectations.
func check(t *testing.T, r *Request, body []byte, expected []expectation, result Result) {
	t.Helper()
	var left []expectation
	for _, e := range expected {
		if !e.control {
			left = append(left, e)
		}
	}
	if result.Empty != (len(left) == 0) {
		t.Fatalf("empty is %v of %d messages left", result.Empty, len(left))
	}
	if result.Empty {
		return
	}
	out := body
	if result.Body != nil {
		if out = result.Body.Bytes(); bytes.Equal(out, body) {
			t.Fatal("a changed body that is the same")
		}
	}
	if !gjson.ValidBytes(out) {
		t.Fatalf("no JSON any more: %q", out)
	}
	unlimited := *r
	unlimited.MaxBody = len(out)
	messages := refMessages(&unlimited, out)
	if len(messages) != len(left) {
		t.Fatalf("%d messages became %d, not %d", len(expected), len(messages), len(left))
	}
	for i, m := range messages {
		e := left[i]
		if got, want := stripped(out, m), stripped(body, e.message); !bytes.Equal(got, want) {
			t.Fatalf("more than the session fields changed:\n%q\n%q", got, want)
		}
		id, start := m.get("context").get("sessionId"), m.get("context").get("sessionStart")
		switch {
		case r.Shadow || e.decision.Action == session.Keep:
			if got, want := m.raw(out), e.message.raw(body); got != want {
				t.Fatalf("changed: %q became %q", want, got)
			}
		case e.decision.Action == session.Stamp:
			if got, want := id.raw(out), strconv.FormatInt(e.decision.SessionID, 10); got != want {
				t.Fatalf("sessionId is %s, not %s", got, want)
			}
			if e.decision.Start && start.raw(out) != "true" || !e.decision.Start && anyField(m, "sessionStart") {
				t.Fatalf("sessionStart is %s, not %v", start.raw(out), e.decision.Start)
			}
		case e.decision.Action == session.Unmark:
			if was := e.message.get("context").get("sessionId"); id.raw(out) != was.raw(body) || anyField(m, "sessionStart") {
				t.Fatalf("not unmarked: %q", m.raw(out))
			}
		default:
			if anyField(m, "sessionId") || anyField(m, "sessionStart") {
				t.Fatalf("not cleared: %q", m.raw(out))
			}
		}
	}
	// Everything around the messages stays, except for commas where messages were cut.
	around := func(b []byte, messages []*node) string {
		at, out := 0, ""
		for _, m := range messages {
			out += string(b[at:m.start])
			at = m.end
		}
		return strings.ReplaceAll(out+string(b[at:]), ",", "")
	}
	var all []*node
	for _, e := range expected {
		all = append(all, e.message)
	}
	if got, want := around(out, messages), around(body, all); got != want {
		t.Fatalf("around the messages:\n%q\n%q", got, want)
	}
}

func anyField(m *node, key string) bool {
	for _, member := range m.members {
		if member.key == "context" && member.value.get(key) != nil {
			return true
		}
	}
	return false
}
