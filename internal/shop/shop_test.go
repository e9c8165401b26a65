package shop

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

var small = Options{Users: 1000, Events: 25_000, Seed: 1}

// smallMonth generates the month of small once for all tests.
var smallMonth = sync.OnceValues(func() ([]byte, error) {
	var out bytes.Buffer
	_, err := Generate(&out, small)
	return out.Bytes(), err
})

func month(t *testing.T, o Options) []byte {
	t.Helper()
	if o == small {
		out, err := smallMonth()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	var out bytes.Buffer
	lines, err := Generate(&out, o)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(out.Bytes(), []byte("\n")); int64(n) != lines {
		t.Errorf("%d lines, of which it says %d", n, lines)
	}
	return out.Bytes()
}

func TestSameSeedSameBytes(t *testing.T) {
	o := Options{Users: 150, Events: 2500, Seed: 7}
	first := month(t, o)
	if !bytes.Equal(first, month(t, o)) {
		t.Error("the same options give other bytes")
	}
	o.Seed++
	if bytes.Equal(first, month(t, o)) {
		t.Error("another seed gives the same bytes")
	}
}

func TestEventsAsAskedFor(t *testing.T) {
	for _, o := range []Options{small, {Users: 1000, Events: 5000, Seed: 2}, {Users: 75, Events: 7500, Seed: 3}} {
		scores, err := ScoreLines(bytes.NewReader(month(t, o)))
		if err != nil {
			t.Fatal(err)
		}
		if got := scores.Total.Events; math.Abs(float64(got)/float64(o.Events)-1) > 0.1 {
			t.Errorf("%+v: %d events", o, got)
		}
	}
	for _, o := range []Options{{}, {Users: 5}, {Events: 5}} {
		if out := month(t, o); len(out) > 0 {
			t.Errorf("%+v: %d bytes", o, len(out))
		}
	}
}

type brokenWriter struct{}

var errBroken = errors.New("no space left")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestGenerateTellsOfAnError(t *testing.T) {
	if _, err := Generate(brokenWriter{}, Options{Users: 100, Events: 2000}); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

// message is a line, with all members that it may have.
type message struct {
	AnonymousID       *string         `json:"anonymousId"`
	Channel           string          `json:"channel"`
	Context           messageContext  `json:"context"`
	Event             *string         `json:"event"`
	Integrations      map[string]bool `json:"integrations"`
	MessageID         string          `json:"messageId"`
	Name              *string         `json:"name"`
	OriginalTimestamp time.Time       `json:"originalTimestamp"`
	Properties        map[string]any  `json:"properties"`
	ReceivedAt        time.Time       `json:"receivedAt"`
	RequestIP         string          `json:"request_ip"`
	RudderID          string          `json:"rudderId"`
	SentAt            time.Time       `json:"sentAt"`
	Timestamp         time.Time       `json:"timestamp"`
	Type              string          `json:"type"`
	UserID            *string         `json:"userId"`
	WriteKey          string          `json:"writeKey"`
}

type messageContext struct {
	App, Campaign, Device, Network, OS, Page, Screen, Service, Traits map[string]any
	IP, Locale, Timezone, UserAgent                                   string

	Library      struct{ Name, Version string }
	SessionID    *int64 `json:"sessionId"`
	SessionStart *bool  `json:"sessionStart"`
}

// TestLines checks that all lines are JSON, and that every fifth has the form in which
// the data plane stores events.
func TestLines(t *testing.T) {
	before := ""
	bytesOfLines, count := 0, 0
	for line := range bytes.Lines(month(t, small)) {
		bytesOfLines += len(line)
		count++
		if !gjson.ValidBytes(line) {
			t.Fatalf("not JSON: %s", line)
		}
		received := gjson.GetBytes(line, "receivedAt").String()
		if received < before {
			t.Fatalf("received at %s, after %s", received, before)
		}
		before = received
		if count%5 != 0 { // decoding all of them takes too long
			continue
		}
		var m message
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&m); err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
		wrong := func(what string) {
			t.Helper()
			t.Fatalf("%s\n%s", what, line)
		}
		id, ok := ParseMessageID(m.MessageID)
		if !ok {
			wrong("messageId")
		}
		if m.RequestIP == "" || len(m.RudderID) != 36 || !m.Integrations["All"] || m.Context.Library.Name == "" {
			wrong("a field is empty")
		}
		java := m.Context.Library.Name == "analytics-java"
		if at := m.ReceivedAt.Add(-m.SentAt.Sub(m.OriginalTimestamp)); !java && !m.Timestamp.Equal(at) {
			wrong("timestamp")
		}
		if m.SentAt.Before(m.OriginalTimestamp) && id.Backend {
			wrong("sent before it was made")
		}
		channel, key := "web", WebKey
		switch {
		case id.Backend:
			channel, key = "server", BackendKey
			if m.UserID == nil || *m.UserID == "" || m.Context.SessionID != nil {
				wrong("an event of the backend")
			}
		case id.Kind.app():
			channel, key = "mobile", AppKey
		}
		if m.Channel != channel || m.WriteKey != key {
			wrong("channel or write key")
		}
		if !id.Backend && (m.AnonymousID == nil || len(*m.AnonymousID) != 36) {
			wrong("anonymousId")
		}
		if channel == "web" && m.UserID == nil || m.UserID != nil && channel == "mobile" && *m.UserID == "" {
			wrong("userId")
		}
		if s := m.Context.SessionID; !id.Backend {
			off := id.Kind == WebOff || id.Kind == AppOff
			switch digits := digitsOf(s); {
			case off && (s != nil || m.Context.SessionStart != nil):
				wrong("a session where tracking is off")
			case !off && (id.Kind.app() && digits != 10 || !id.Kind.app() && digits != 13):
				wrong("sessionId")
			}
		}
		if m.Context.SessionStart != nil && !*m.Context.SessionStart {
			wrong("sessionStart")
		}
		switch m.Type {
		case "track", "screen":
			ok = m.Event != nil && m.Properties != nil
		case "page":
			ok = m.Name != nil && m.Properties["url"] != nil && channel == "web"
		case "identify":
			ok = m.UserID != nil && *m.UserID != "" && m.Context.Traits["email"] != nil
		default:
			ok = false
		}
		if !ok {
			wrong("type")
		}
	}
	if mean := bytesOfLines / count; mean < 1000 || mean > 1800 {
		t.Errorf("%d bytes a line", mean)
	}
}

func digitsOf(n *int64) (count int) {
	if n == nil {
		return 0
	}
	for x := *n; x > 0; x /= 10 {
		count++
	}
	return count
}
