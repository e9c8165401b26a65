package enrich

import (
	"strconv"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	for _, text := range []string{
		"2026-11-23T08:58:51.871Z", "2026-11-23T08:58:51Z", "2026-11-23T08:58:51.123456+00:00",
		"2026-11-23T08:58:51.123456789-07:30", "2000-02-29T00:00:00Z", "1970-01-01T00:00:00Z",
		"0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "0000-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z",
		"1900-03-01T00:00:00Z", "1600-02-29T12:00:00+14:00",
	} {
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := parseTime([]byte(strconv.Quote(text))); !ok || got != want.UnixMilli() {
			t.Errorf("%s: got %d, %v, want %d", text, got, ok, want.UnixMilli())
		}
	}
	for text, same := range map[string]string{
		"2026-11-23 08:58:51.5":    "2026-11-23T08:58:51.5Z",
		"2026-11-23T08:58:51+0130": "2026-11-23T07:28:51Z",
		"2026-11-23T08:58:51-02":   "2026-11-23T10:58:51Z",
		"2026-11-23t08:58:51,250z": "2026-11-23T08:58:51.250Z",
	} {
		want, _ := time.Parse(time.RFC3339Nano, same)
		if got, ok := parseTime([]byte(strconv.Quote(text))); !ok || got != want.UnixMilli() {
			t.Errorf("%s: got %d, %v, want %d", text, got, ok, want.UnixMilli())
		}
	}
	for _, value := range []string{
		``, `null`, `12345`, `""`, `"yesterday"`, `"2026-13-01T00:00:00Z"`, `"2026-02-29T00:00:00Z"`,
		`"2026-11-23T24:00:00Z"`, `"2026-11-23T08:58:51.Z"`, `"2026-11-23T08:58:51+"`, `"2026-11-23T08:58:51+1"`,
		`"2026-11-23T08:58:51Zulu"`, `"2026-11-23T08:5x:51Z"`, `"2026-11-23T08:58:51+01:60"`,
	} {
		if got, ok := parseTime([]byte(value)); ok {
			t.Errorf("%s: got %d, want a refusal", value, got)
		}
	}
	every := time.Date(-0, 1, 1, 0, 0, 0, 0, time.UTC)
	for ; every.Year() < 2500; every = every.AddDate(0, 0, 17) {
		text := every.Format(`"2006-01-02T15:04:05Z"`)
		if got, ok := parseTime([]byte(text)); !ok || got != every.UnixMilli() {
			t.Fatalf("%s: got %d, %v, want %d", text, got, ok, every.UnixMilli())
		}
	}
}
