package enrich

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestSplice shows the changes byte by byte. The user a has the session 1234567890,
// whose start mark is taken; m has a new session without events; e has ended theirs.
func TestSplice(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"no context", `{"anonymousId":"a"}`, `{"context":{"sessionId":1234567890},"anonymousId":"a"}`},
		{"no context, first event", `{ "anonymousId":"m"}`, `{"context":{"sessionId":1111111111,"sessionStart":true}, "anonymousId":"m"}`},
		{"null context", `{"anonymousId":"a","context": null }`, `{"anonymousId":"a","context": {"sessionId":1234567890} }`},
		{"empty context", `{"anonymousId":"a","context":{ }}`, `{"anonymousId":"a","context":{"sessionId":1234567890 }}`},
		{"context", `{"anonymousId":"a","context":{ "b" : 1 }}`, `{"anonymousId":"a","context":{"sessionId":1234567890, "b" : 1 }}`},
		{"own id", `{"anonymousId":"a","context":{"b":1,"sessionId": 5 ,"c":2}}`, `{"anonymousId":"a","context":{"b":1,"sessionId": 1234567890 ,"c":2}}`},
		{"same id", `{"anonymousId":"a","context":{"sessionId":1234567890}}`, ``},
		{"same number, written otherwise", `{"anonymousId":"a","context":{"sessionId":1.23456789e9}}`, `{"anonymousId":"a","context":{"sessionId":1234567890}}`},
		{"a string", `{"anonymousId":"a","context":{"sessionId":"1234567890"}}`, `{"anonymousId":"a","context":{"sessionId":1234567890}}`},
		{"an object", `{"anonymousId":"a","context":{"sessionId":{"sessionId":[1,2]}}}`, `{"anonymousId":"a","context":{"sessionId":1234567890}}`},
		{"own start mark", `{"anonymousId":"a","context":{"sessionId":5,"sessionStart":true}}`, `{"anonymousId":"a","context":{"sessionId":1234567890}}`},
		{"only a start mark", `{"anonymousId":"a","context":{"sessionStart":true}}`, `{"anonymousId":"a","context":{"sessionId":1234567890}}`},
		{"start mark in the middle", `{"anonymousId":"a","context":{"b":1, "sessionStart":true ,"sessionId":5}}`, `{"anonymousId":"a","context":{"b":1,  "sessionId":1234567890}}`},
		{"false start mark, first event", `{"anonymousId":"m","context":{"sessionStart":false}}`, `{"anonymousId":"m","context":{"sessionId":1111111111,"sessionStart":true}}`},
		{"both, first event", `{"anonymousId":"m","context":{"sessionStart":1,"sessionId":2}}`, `{"anonymousId":"m","context":{"sessionStart":true,"sessionId":1111111111}}`},
		{"right already, first event", `{"anonymousId":"m","context":{"sessionId":1111111111,"sessionStart":true}}`, ``},
		{"duplicates: the first counts", `{"anonymousId":"a","context":{"sessionId":5,"sessionId":6},"context":{"sessionId":7}}`, `{"anonymousId":"a","context":{"sessionId":1234567890,"sessionId":6},"context":{"sessionId":7}}`},
		{"escaped keys", `{"anonymousId":"a","conte\u0078t":{"sess\u0069onId":5}}`, `{"anonymousId":"a","conte\u0078t":{"sess\u0069onId":1234567890}}`},
		{"clear", `{"anonymousId":"e","context":{"sessionId":5,"sessionStart":true}}`, `{"anonymousId":"e","context":{}}`},
		{"clear the first", `{"anonymousId":"e","context":{ "sessionId":5 , "b":1 }}`, `{"anonymousId":"e","context":{   "b":1 }}`},
		{"clear the last", `{"anonymousId":"e","context":{ "b":1 , "sessionId":5 }}`, `{"anonymousId":"e","context":{ "b":1   }}`},
		{"clear apart", `{"anonymousId":"e","context":{"sessionId":5,"b":1,"sessionStart":true,"c":2}}`, `{"anonymousId":"e","context":{"b":1,"c":2}}`},
		{"clear around", `{"anonymousId":"e","context":{"sessionId":5,"b":1,"sessionStart":true}}`, `{"anonymousId":"e","context":{"b":1}}`},
		{"clear the last two", `{"anonymousId":"e","context":{"b":1,"sessionId":5,"sessionStart":true}}`, `{"anonymousId":"e","context":{"b":1}}`},
		{"clear every duplicate", `{"anonymousId":"e","context":{"sessionId":5,"b":1,"sessionId":6},"context":{"sessionId":7}}`, `{"anonymousId":"e","context":{"b":1},"context":{}}`},
		{"clear nothing", `{"anonymousId":"e","context":{"b":1}}`, ``},
		{"clear only in the context", `{"anonymousId":"e","sessionId":5,"context":{"traits":{"sessionId":5}}}`, ``},
		{"a context that is no object", `{"anonymousId":"a","context":"text"}`, ``},
		{"everything else stays", "{\"anonymousId\":\"a\",\t\"n\":[1e2,12345678901234567890, 1.0],\"s\":\"\\u00e9\xff\",\"k\":1,\"k\":2,\"context\":{}}\n", "{\"anonymousId\":\"a\",\t\"n\":[1e2,12345678901234567890, 1.0],\"s\":\"\\u00e9\xff\",\"k\":1,\"k\":2,\"context\":{\"sessionId\":1234567890}}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, r := spliceTable(t)
			r.Endpoint = Track
			result := Enrich(context.Background(), table, r, []byte(c.in))
			if got := string(result.Body.Bytes()); got != c.out {
				t.Errorf("\n in  %s\n out %s\n not %s", c.in, got, c.out)
			}
			if (result.Body == nil) != (c.out == "") {
				t.Errorf("changed is %v", result.Body != nil)
			}
		})
	}
}

func spliceTable(t *testing.T) (*sessionstate.Table, *Request) {
	table := sessionstate.NewTable(memorystore.New(), sessionstate.Options{Settings: sessionstate.Settings{Capacity: 100}})
	r := &Request{WriteKey: "wk", Received: fuzzNow, MaxBody: 4096000, Policy: &session.Policy{}}
	for _, step := range []struct {
		endpoint Endpoint
		body     string
	}{
		{StartSession, `{"anonymousId":"a","sessionId":1234567890}`},
		{Track, `{"anonymousId":"a","messageId":"first"}`},
		{StartSession, `{"anonymousId":"m","sessionId":1111111111}`},
		{EndSession, `{"anonymousId":"e"}`},
	} {
		r.Endpoint = step.endpoint
		if step.endpoint == Track {
			Enrich(context.Background(), table, r, []byte(step.body))
		} else if _, _, err := Control(context.Background(), table, r, []byte(step.body)); err != nil {
			t.Fatal(err)
		}
	}
	return table, r
}

// TestMaxBody: a body is not made larger than the data plane accepts; then the start mark
// stays free for the next event.
func TestMaxBody(t *testing.T) {
	const event = `{"anonymousId":"m"}`
	grownBy := len(`"context":{"sessionId":1111111111,"sessionStart":true},`)
	batch := `{"batch":[` + event[:len(event)-1] + `,"type":"track"}]}`
	for _, c := range []struct {
		endpoint Endpoint
		body     string
		fits     int
	}{
		{Batch, batch, len(batch) + grownBy},
		{Track, event, len(event) + grownBy + 21 + len(`,"type":"identify"`)},
	} {
		table, r := spliceTable(t)
		r.Endpoint, r.MaxBody = c.endpoint, c.fits-1
		if result := Enrich(context.Background(), table, r, []byte(c.body)); result.Body != nil || len(result.Marks) > 0 || result.Untouched != 1 {
			t.Errorf("one byte too many: %+v", result)
		}
		r.MaxBody = c.fits
		if result := Enrich(context.Background(), table, r, []byte(c.body)); result.Body.Len() != len(c.body)+grownBy || len(result.Marks) != 1 {
			t.Errorf("just fits: %+v", result)
		}
	}
}

func TestBodyReader(t *testing.T) {
	body := Body{[]byte("one"), nil, []byte(" two "), []byte("three"), nil}
	if err := iotest.TestReader(body.Reader(), []byte("one two three")); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(iotest.OneByteReader(body.Reader())); err != nil || !bytes.Equal(got, body.Bytes()) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := io.ReadAll(Body{}.Reader()); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestKey(t *testing.T) {
	keys := map[string]string{}
	for _, writeKey := range []string{"", "a", "ab", "a\x01", strings.Repeat("k", 200)} {
		for _, id := range []string{"a", "ba", "\x01a", "aa", strings.Repeat("x", maxID), strings.Repeat("x", maxID+1), strings.Repeat("x", 1000)} {
			for _, kind := range []byte{byAnonymousID, byUserID} {
				key := string(appendKey(nil, kind, writeKey, []byte(id)))
				if len(key) > len(writeKey)+maxID+3 {
					t.Errorf("a key of %d bytes", len(key))
				}
				input := string(kind) + "|" + writeKey + "|" + id
				if other, taken := keys[key]; taken {
					t.Errorf("%q and %q have one key", input, other)
				}
				keys[key] = input
			}
		}
	}
	if Key("wk", " \u200b", "") != "" || Key("wk", "", " u ") != Key("wk", " ", "u") {
		t.Error("ids are not normalised")
	}
}

// brokenStore fails for keys that contain a text. It is not Resident.
type brokenStore struct {
	sessionstate.Store
	text string
}

var errBroken = errors.New("broken")

func (s brokenStore) Get(ctx context.Context, key string) (*session.Session, error) {
	if strings.Contains(key, s.text) {
		return nil, errBroken
	}
	return s.Store.Get(ctx, key)
}

// TestStoreErrors: events whose session can be read are stamped, the others stay as they
// are, and a failed control call is reported.
func TestStoreErrors(t *testing.T) {
	store := brokenStore{memorystore.New(), "bad"}
	table := sessionstate.NewTable(store, sessionstate.Options{Settings: sessionstate.Settings{Capacity: 100}})
	r := &Request{WriteKey: "wk", Received: fuzzNow, MaxBody: 4096000, Policy: &session.Policy{}, Endpoint: StartSession}
	if _, _, err := Control(context.Background(), table, r, []byte(`{"anonymousId":"good","sessionId":1234567890}`)); err != nil {
		t.Fatal(err)
	}
	var storeErr *StoreError
	if _, _, err := Control(context.Background(), table, r, []byte(`{"anonymousId":"bad"}`)); !errors.As(err, &storeErr) || !errors.Is(err, errBroken) {
		t.Fatalf("control: %v", err)
	}
	r.Endpoint = Batch
	result := Enrich(context.Background(), table, r, []byte(`{"batch":[{"type":"track","anonymousId":"bad","context":{"sessionId":1}},{"type":"track","anonymousId":"good"}]}`))
	want := `{"batch":[{"type":"track","anonymousId":"bad","context":{"sessionId":1}},{"context":{"sessionId":1234567890,"sessionStart":true},"type":"track","anonymousId":"good"}]}`
	if got := string(result.Body.Bytes()); got != want || result.StoreErrors != 1 || !errors.Is(result.Err, errBroken) || result.ControlFailed {
		t.Errorf("%s %+v", got, result.Outcome)
	}
	result = Enrich(context.Background(), table, r, []byte(`{"batch":[{"type":"endSession","anonymousId":"bad"}]}`))
	if !result.ControlFailed || result.Body != nil || result.Empty {
		t.Errorf("%+v", result)
	}
}

// TestAllocations: a request costs the same few allocations, however many
// messages it has.
func TestAllocations(t *testing.T) {
	t.Run("each by itself", func(t *testing.T) {
		countAllocations(t, 3, func(events int) (*sessionstate.Table, *Request, []byte) {
			table, r := benchTable(t, 10)
			return table, r, realBatch(events, 10)
		})
	})
	t.Run("devices that are followed", func(t *testing.T) {
		countAllocations(t, 3, func(events int) (*sessionstate.Table, *Request, []byte) {
			table, r := followTable(t, 10)
			return table, r, realBatch(events, 10)
		})
	})
	t.Run("events that follow", func(t *testing.T) {
		countAllocations(t, 3, func(events int) (*sessionstate.Table, *Request, []byte) {
			table, r := followTable(t, 10)
			return table, r, bytes.ReplaceAll(realBatch(events, 10), []byte(`"channel":"web"`), []byte(`"channel":"server"`))
		})
	})
}

func countAllocations(t *testing.T, most float64, make func(events int) (*sessionstate.Table, *Request, []byte)) {
	t.Helper()
	counts := map[int]float64{}
	for _, events := range []int{2, 200} {
		table, r, body := make(events)
		// Do not use the pool, which may be emptied at any time.
		w := newWork()
		counts[events] = testing.AllocsPerRun(20, func() {
			result := Result{}
			if !w.read(r, body, &result) {
				t.Fatal("not read")
			}
			if w.enrich(context.Background(), table, r, &result); result.Stamped != events {
				t.Fatalf("%+v", result.Outcome)
			}
			clear(w.groups.chainOf)
		})
	}
	if counts[200] != counts[2] || counts[2] > most {
		t.Errorf("allocations by number of messages: %v", counts)
	}
}
