package enrich

import (
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func TestEveryReasonIsExplained(t *testing.T) {
	for r := session.NotDecided + 1; r < session.Reasons; r++ {
		if reasonSentences[r] == "" {
			t.Errorf("%s is not explained", r)
		}
	}
	for s := NotSkipped + 1; s < SkipReasons; s++ {
		if said := rules(&Request{}, &Verdict{Skip: s}, nil); len(said) != 2 || s.String() == "" {
			t.Errorf("%q: %q", s, said)
		}
	}
}

// TestExplain: there is one explanation for each message, in order, and explaining
// changes nothing.
func TestExplain(t *testing.T) {
	table := sessionstate.NewTable(memorystore.New(), sessionstate.Options{Settings: sessionstate.Settings{Capacity: 100}})
	defer table.Close()
	policy := &session.Policy{Timeout: 1000, Automatic: session.AutomaticProxy}
	at := func(e Endpoint) *Request {
		return &Request{
			Endpoint: e, WriteKey: "wk", Received: 1_700_000_000_000, MaxBody: 1 << 20, Policy: policy,
			Names: Names{Start: "startSession", End: "endSession", Reset: "resetSession"}, MaxStarts: 1,
		}
	}
	for _, c := range []struct {
		endpoint Endpoint
		body     string
		says     []string
	}{
		{StartSession, `{"sessionId":1234567890}`, []string{"neither an anonymousId nor a userId", "answered with 400 and changes nothing."}},
		{StartSession, `{"anonymousId":"a","sessionId":5}`, []string{"It is a control call, startSession", "answered with 400 and changes nothing: "}},
		{StartSession, `{"anonymousId":"a"}`, []string{"control call", `anonymousId "a"`, "It does not tell when it happened", "nothing is known", "It is carried out.", "It begins a session, 1700000000000.", "sessionId 1700000000000"}},
		{Track, `{"userId":"u","event":"x","originalTimestamp":"2023-11-14T22:13:10Z","sentAt":"2023-11-14T22:13:20Z"}`, []string{
			`It has no anonymousId: its session is that of the userId "u".`, "It happened at 2023-11-14T22:13:10.000Z", "nothing is known",
			"automatic proxy", "It begins a session, 1699999990000", "becomes 1699999990000 (it came with none)", "first event",
		}},
		{Track, `{"anonymousId":"s","event":"x","channel":"server"}`, []string{"comes from a server", "does not tell", "nothing is known", "begins none", "forwarded as it is: sessionId none"}},
		{Track, `{"anonymousId":"a","event":"x","context":7}`, []string{"not an object", "forwarded as it is"}},
	} {
		for range 2 {
			explained, err := Explain(t.Context(), table, at(c.endpoint), []byte(c.body))
			if err != nil || len(explained) != 1 {
				t.Fatalf("%s: %v, %v", c.body, explained, err)
			}
			if e := explained[0]; e.Refused && (e.Action() != "consumed" || e.Reason() != "invalid" || e.Decision != (session.Decision{})) {
				t.Errorf("%s: %s, %s, %+v", c.body, e.Action(), e.Reason(), e.Decision)
			}
			rules := explained[0].Rules
			if len(rules) != len(c.says) {
				t.Errorf("%s: %q", c.body, rules)
				continue
			}
			for i, want := range c.says {
				if !strings.Contains(rules[i], want) {
					t.Errorf("%s: rule %d is %q, want %q", c.body, i, rules[i], want)
				}
			}
		}
	}
	if table.Len() > 3 {
		t.Errorf("%d keys are known", table.Len())
	}
	for _, key := range []string{Key("wk", "a", ""), Key("wk", "", "u")} {
		if s, err := table.Session(t.Context(), key); s != nil || err != nil {
			t.Errorf("%q: %+v, %v", key, s, err)
		}
	}
	if _, err := Explain(t.Context(), table, at(Track), []byte(`{`)); err != ErrBody { //nolint:errorlint // it is told as it is
		t.Error(err)
	}
}

func TestParseKey(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, writeKey := range []string{"", "wk", "w\x00k", long} {
		for _, id := range []string{"a", "ü", strings.Repeat("y", 256), long} {
			for _, user := range []bool{false, true} {
				key := Key(writeKey, id, "")
				if user {
					key = Key(writeKey, "", id)
				}
				got, err := ParseKey(key)
				if err != nil || got.Key() != key || !got.Of(id, user) || got.Of(id, !user) || got.Of(id+"z", user) || !got.OfSource(writeKey) || got.OfSource(writeKey+"z") {
					t.Errorf("%.20q, %.20q: %+v, %v", writeKey, id, got, err)
				}
			}
		}
	}
	for _, key := range []string{"", "x", "a", "a\xff", "a\x05abc", "A\x01a123", "a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if got, err := ParseKey(key); err == nil {
			t.Errorf("%q: %+v", key, got)
		}
	}
}
