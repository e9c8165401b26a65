package enrich

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

const fuzzNow = 1795424331871

// fuzzPolicies are chosen by a fuzz input's byte.
var fuzzPolicies = []session.Policy{
	{Automatic: session.AutomaticSDK},
	{Automatic: session.AutomaticProxy},
	{Automatic: session.AutomaticOff},
	{Automatic: session.AutomaticProxy, Cutoff: 60000, IdentifyReset: session.IdentifyResetAlways},
	{Automatic: session.AutomaticAdopt},
}

// fuzzRequest makes a request, and two tables in the same state: a manual
// session for the anonymousId "a", an ended one for "e".
func fuzzRequest(t *testing.T, endpoint, options byte) (r *Request, fast, slow *sessionstate.Table) {
	policy := fuzzPolicies[int(options)%len(fuzzPolicies)]
	policy.Timeout, policy.Retention = 1800000, 400*86400000
	r = &Request{
		Endpoint: Endpoint(endpoint % byte(StartSession)), WriteKey: "wk", Received: fuzzNow,
		MaxBody: 4096000, Policy: &policy, Shadow: options&16 != 0,
		Follow: options&32 != 0, Share: options&96 == 96,
		Names: Names{"startSession", "endSession", "resetSession"},
	}
	tables := []*sessionstate.Table{}
	for range 2 {
		table := sessionstate.NewTable(memorystore.New(), sessionstate.Options{Settings: sessionstate.Settings{Capacity: 1000}})
		for _, call := range []struct {
			endpoint Endpoint
			body     string
		}{{StartSession, `{"anonymousId":"a","userId":"ua","sessionId":1234567890}`}, {EndSession, `{"anonymousId":"e"}`}} {
			control := *r
			control.Endpoint, control.Received = call.endpoint, fuzzNow-3600000
			if _, _, err := Control(context.Background(), table, &control, []byte(call.body)); err != nil {
				t.Fatal(err)
			}
		}
		tables = append(tables, table)
	}
	return r, tables[0], tables[1]
}

func FuzzEnrich(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed, byte(Batch), byte(0))
		f.Add(seed, byte(Track), byte(1))
		f.Add(seed, byte(Identify), byte(18))
		f.Add(seed, byte(Batch), byte(32))
		f.Add(seed, byte(Batch), byte(4))
		f.Add(seed, byte(Track), byte(97))
	}
	f.Fuzz(func(t *testing.T, body []byte, endpoint, options byte) {
		r, fast, slow := fuzzRequest(t, endpoint, options)
		before := bytes.Clone(body)
		explained, err := Explain(context.Background(), fast, r, body)
		var verdicts []Verdict
		r.Observe = func(v []Verdict) { verdicts = v }
		result := Enrich(context.Background(), fast, r, body)
		if result.Unreadable != (err != nil) || len(explained) != len(verdicts) {
			t.Fatalf("explained are %d messages, %v; there are %d", len(explained), err, len(verdicts))
		}
		for i := range verdicts {
			was, is := explained[i].Verdict, verdicts[i]
			if was.Action() != is.Action() || was.Reason() != is.Reason() || was.Decision != is.Decision {
				t.Fatalf("explained was %+v, done was %+v", was, is)
			}
		}
		if !bytes.Equal(body, before) {
			t.Fatal("the input was changed")
		}
		messages := refMessages(r, body)
		if messages == nil {
			if result.Body != nil || result.Empty || len(result.Marks) > 0 {
				t.Fatalf("something was made of what cannot be read: %+v", result)
			}
			return
		}
		if r.Follow {
			check(t, r, body, refDecided(verdicts, messages), result)
			return
		}
		check(t, r, body, refDecide(t, slow, r, body, messages), result)
	})
}

// FuzzScan compares the validator with the data plane's.
func FuzzScan(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		want := gjson.ValidBytes(body)
		if want && parseTree(body, 0).depth() > maxDepth {
			want = false
		}
		i := skipSpace(body, 0)
		var d document
		d.reset(body)
		end := d.scanValue(i, 0)
		if got := end >= 0 && skipSpace(body, end) == len(body); got != want {
			t.Fatalf("valid is %v, the data plane says %v", got, want)
		}
		var p payload
		if object := i < len(body) && body[i] == '{'; p.parseSingle(body) != (want && object) {
			t.Fatalf("as a message: valid is %v, the data plane says %v", !want, want)
		}
	})
}

// FuzzControl sends bodies to the control endpoints: they are carried out or
// refused for a reason, and a refused one changes nothing.
func FuzzControl(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed, byte(0))
	}
	for _, id := range []string{`1234567890`, `"1234567890"`, `1e10`, `1.5e9`, `-1234567890`, `null`, `true`, `"x"`, `1e400`} {
		f.Add([]byte(`{"anonymousId":"a","sessionId":`+id+`}`), byte(0))
		f.Add([]byte(`{"userId":"u","messageId":"m","sessionId":`+id+`}`), byte(2))
	}
	f.Fuzz(func(t *testing.T, body []byte, call byte) {
		r, table, _ := fuzzRequest(t, 0, 0)
		r.Endpoint = StartSession + Endpoint(call%3)
		before := dump(t, table)
		id, _, err := Control(context.Background(), table, r, body)
		if err != nil {
			if id != 0 || err.Error() == "" || dump(t, table) != before {
				t.Fatalf("refused with %v, but changed something", err)
			}
			return
		}
		if r.Endpoint == StartSession && (id < session.MinID || id > session.MaxID) || r.Endpoint == EndSession && id != 0 {
			t.Fatalf("answers %d", id)
		}
		again, _, err := Control(context.Background(), table, r, body)
		messageID := parseTree(body, skipSpace(body, 0)).get("messageId")
		if repeats := messageID != nil && messageID.kind == '"' && refID(body, messageID) != ""; err != nil || repeats && again != id {
			t.Fatalf("answers %d, then %d, %v", id, again, err)
		}
	})
}

func dump(t *testing.T, table *sessionstate.Table) string {
	t.Helper()
	var ids []int64
	for _, id := range []string{"a", "e", "u", "x"} {
		for _, key := range []string{Key("wk", id, ""), Key("wk", "", id)} {
			current, err := table.Current(context.Background(), key, fuzzNow, &fuzzPolicies[0])
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, current)
		}
	}
	text, _ := json.Marshal(append(ids, int64(table.Len())))
	return string(text)
}

// seeds are bodies of all kinds: those of SDKs, difficult JSON, and variants of session
// fields.
func seeds(tb testing.TB) [][]byte {
	tb.Helper()
	files, err := filepath.Glob("testdata/bodies/*.json")
	if err != nil || len(files) == 0 {
		tb.Fatal("no seeds", err)
	}
	var bodies [][]byte
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, n := range []int{509, 510, 511, 512, 513, 20000} {
		bodies = append(bodies, []byte(`{"anonymousId":"a","properties":`+deep(n)+`}`),
			[]byte(`{"batch":[{"type":"track","anonymousId":"a","properties":`+deep(n)+`}]}`))
	}
	bodies = append(bodies, []byte(realEvent(1, 1)), realBatch(3, 2))
	bodies = append(bodies, seedsOfNames()...)
	return append(bodies, captured(tb)...)
}

// captured returns the bodies of real SDK traffic.
func captured(tb testing.TB) (bodies [][]byte) {
	tb.Helper()
	files, _ := filepath.Glob("../testdata/captures/*.jsonl")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if body := gjson.GetBytes(line, "body"); body.Exists() && i%10 == 0 {
				bodies = append(bodies, []byte(body.Raw))
			}
		}
	}
	return bodies
}
