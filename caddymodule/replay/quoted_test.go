package replay

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rudder-session/rudder-session/enrich"
)

// Bodies that are recorded as JSON strings keep every byte, and every escape, except for
// the session fields.
func TestQuoted(t *testing.T) {
	odd := `\/ \u00e9 \u00E9 \ud83d\ude00 \ud83d \ude00\ud83d \u0041 ` + "\xff\xc3( é \u2028 \x7f"
	body := `{\"type\":\"track\",\"event\":\"` + strings.ReplaceAll(odd, `\`, `\\`) + `\",\"x\":\"` + odd + `\",\u0022anonymousId\":\"a\",` +
		`\"messageId\":\"m1\",\t\"context\"\n: {\"sessionId\":5,\r\n\"b\":\u005b1]}, \"y\":\"` + odd + `\"}`
	line := func(body string) string {
		return `{"path":"/v1/track","writeKey":"wk","receivedAt":1795424400000, "body" :"` + body + `" , "more":"\u00e9"}` + "\n"
	}
	out, report := replayText(t, line(body), Options{})
	want := strings.Replace(body, `{\"sessionId\":5,`, `{\"sessionStart\":true,\"sessionId\":1795424400000,`, 1)
	if out != line(want) || report.Policies[0].Stamped != 1 {
		t.Errorf("came out as\n%q, want\n%q", out, line(want))
	}
	// A call that stays, in a batch.
	out, _ = replayText(t, strings.Replace(line(`{\"batch\":[{\"type\":\"endSession\",\"anonymousId\":\"\u0061\"}]}`), "track", "batch", 1), Options{})
	if !strings.Contains(out, `"{\"batch\":[{\"rudderSessionControl\":\"endSession\",\"type\":\"endSession\",\"anonymousId\":\"\u0061\"}]}"`) {
		t.Error(out)
	}
}

func FuzzQuoted(f *testing.F) {
	for _, seed := range []string{`a`, `\"\\\/\b\f\n\r\t`, `\u00e9é` + "\xff", `\ud83d\ude00`, `\ud83d`, `\ude00\ud83d\u0041`, `\ud83d\\ude00`, ``} {
		f.Add(seed, 1, 3)
	}
	f.Fuzz(func(t *testing.T, raw string, from, to int) {
		quoted := []byte(`"` + raw + `"`)
		if !json.Valid(quoted) {
			return
		}
		text := unquote([]byte(raw))
		var want string
		if utf8.ValidString(raw) {
			if err := json.Unmarshal(quoted, &want); err != nil || want != string(text) {
				t.Fatalf("stands for %q, want %q (%v)", text, want, err)
			}
		}
		// All pairs of positions between characters, as pieces.
		var buffer [utf8.UTFMax]byte
		places := []int{0}
		for at, plain := 0, 0; at < len(raw); {
			size, c := character([]byte(raw), at, &buffer)
			at, plain = at+size, plain+len(c)
			places = append(places, plain)
		}
		i, j := places[uint(from)%uint(len(places))], places[uint(to)%uint(len(places))]
		i, j = min(i, j), max(i, j)
		if got := requote([]byte(raw), text, enrich.Body{text[:i], text[i:j], text[j:]}); !bytes.Equal(got, quoted) {
			t.Fatalf("%q became %q", quoted, got)
		}
		inserted := []byte(`"sessionId":1,`)
		got := requote([]byte(raw), text, enrich.Body{text[:i], inserted, text[j:]})
		if !json.Valid(got) || string(unquote(got[1:len(got)-1])) != string(text[:i])+string(inserted)+string(text[j:]) {
			t.Fatalf("%q became %q", quoted, got)
		}
	})
}
