package enrich

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/araddon/dateparse"
)

// Forms of times that SDKs send, or applications with their own timestamps.
var timeForms = []string{
	"2026-11-23T08:58:51.871Z", "2026-11-23T08:58:51Z", "2026-11-23T08:58:51.123456+00:00",
	"2026-11-23T08:58:51.123456789-07:30", "2000-02-29T00:00:00Z", "1970-01-01T00:00:00Z",
	"0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "1900-03-01T00:00:00Z", "1600-02-29T12:00:00+14:00",
	"2026-11-23 08:58:51.5", "2026-11-23T08:58:51+0130", "2026-11-23T08:58:51-02", "2026-11-23T08:58:51",
	"2026-11-23t08:58:51,250z", "2026-11-28T1:55:00.719 AMZ", "2026-11-28T1:55:00.719 PMZ", "2026-11-28T11:55:00.719 PMZ",
	"2026-11-28T1:55:00 AM", "2026-11-28 01:55:00 PM", "2026-11-28", "2026-11-28 01:55", "11/28/2026 1:55:00 PM",
	"Sat, 28 Nov 2026 01:55:00 GMT", "Sat Nov 28 01:55:00 UTC 2026", "Nov 28, 2026 1:55:00 AM", "28 Nov 2026",
	"1795830900", "1795830900719", "1795830900719000", "1795830900719000000", "2026", "20261128", "20261128015500",
	"2026-11-28T01:55:00.719 +0000", "2026-11-28 01:55:00 +0000 UTC", "2026-11-28 01:55:00 +0200 CEST",
	"2026-11-28T01:55:00.7190000000Z", "2026-11-28T01:55:00.Z", "2026-11-28T24:00:00Z", "2026-02-30T00:00:00Z",
	"2026-13-01T00:00:00Z", "2026-11-23T08:58:60Z", "0000-01-01T00:00:00Z", "2026-11-23T08:58:51+24:00",
	"2026-11-23T08:58:51+01:60", "", " ", "yesterday", "null", "2026-11-23T08:58:51Zulu", "2026-11-23T08:5x:51Z",
}

// checkTime checks that a text is a time if and only if it is one for the data plane, and
// the same one.
func checkTime(t *testing.T, text string) {
	t.Helper()
	want, known := int64(0), false
	func() {
		defer func() { _ = recover() }()
		if at, err := dateparse.ParseAny(text); err == nil {
			want, known = at.UnixMilli(), true
		}
	}()
	if got, ok := parseTime([]byte(strconv.Quote(text))); ok != known || got != want {
		t.Errorf("%q: got %d, %v, want %d, %v", text, got, ok, want, known)
	}
}

func TestParseTime(t *testing.T) {
	for _, text := range timeForms {
		checkTime(t, text)
	}
	for _, value := range []string{``, `null`, `12345`, `true`, `{}`, `["2026-11-23T08:58:51Z"]`} {
		if got, ok := parseTime([]byte(value)); ok {
			t.Errorf("%s: got %d, want a refusal", value, got)
		}
	}
	if got, ok := parseTime([]byte(`"2026-11-23T08\u003a58:51Z"`)); !ok || got != 1795424331000 {
		t.Errorf("with an escape: got %d, %v", got, ok)
	}
	// The form of iOS devices with a twelve-hour clock, compared with the 24-hour form.
	// The data plane takes the hour after midnight for the one after noon.
	for hour := 1; hour < 24; hour++ {
		at := time.Date(2026, 11, 28, hour, 55, 0, 719e6, time.UTC)
		text := at.Format("2006-01-02T3:04:05.000 PM") + "Z"
		got, ok := parseTime([]byte(strconv.Quote(text)))
		if !ok || got != at.UnixMilli() {
			t.Errorf("%s: got %d, %v, want %d", text, got, ok, at.UnixMilli())
		}
		checkTime(t, text)
	}
	checkTime(t, "2026-11-28T12:55:00.719 AMZ")
	every := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	for ; every.Year() < 2500; every = every.AddDate(0, 0, 17) {
		text := every.Format(`"2006-01-02T15:04:05Z"`)
		if got, ok := parseRFC3339([]byte(text)); !ok || got != every.UnixMilli() {
			t.Fatalf("%s: got %d, %v, want %d", text, got, ok, every.UnixMilli())
		}
	}
}

// The usual form costs no allocation.
func TestParseTimeAllocatesNothing(t *testing.T) {
	value := []byte(`"2026-11-23T08:58:51.871Z"`)
	if n := testing.AllocsPerRun(100, func() { parseTime(value) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseTime(f *testing.F) {
	for _, text := range timeForms {
		f.Add(text)
	}
	for i := range 20 {
		f.Add(fmt.Sprintf("2026-11-28T01:55:00.%0*dZ", i, 7))
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted := strconv.Quote(text)
		for _, c := range quoted {
			if c == '\\' || c >= 0x80 {
				t.Skip("JSON escapes otherwise")
			}
		}
		checkTime(t, text)
	})
}
