package enrich

import (
	"strings"
	"testing"
)

// A type may have any bytes: its lower-case form may be longer or shorter.
func TestTypeOf(t *testing.T) {
	for text, want := range map[string]string{
		"track": "track", " TRACK\\n": "track", "trac\u212a": "track", "trac\\u212A": "track", "\u212arac": "",
		"resetSession": "resetSession", "RESETSESSIO\xff": "", strings.Repeat("\xff", 12): "", "\xfftrack\xff": "",
		strings.Repeat("\u023a", 6): "", "startSess\u0130n": "", "": "", "tracks": "", "\\ud800": "",
	} {
		got, known := typeOf([]byte(`"` + text + `"`))
		if known != (want != "") || known && got.String() != want {
			t.Errorf("%q is %v, %v", text, got, known)
		}
	}
}
