package integration_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// at sends a body so that it is received at a time.
func (p *proxy) at(t *testing.T, received time.Time, path, body string) proxytest.Reply {
	t.Helper()
	return p.Send(t, proxytest.Request{Path: path, WriteKey: "wk1", Body: body, Received: received})
}

// arrived returns the session of the one event that has arrived.
func (p *proxy) arrived(t *testing.T) string {
	t.Helper()
	m := proxytest.Messages(t, p.Plane.Take()...)
	if len(m) != 1 {
		t.Fatalf("%d events arrived", len(m))
	}
	return m[0].Session()
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// TestGeneratedIDs: the id is the time of the call, raised by one as often as needed.
func TestGeneratedIDs(t *testing.T) {
	p := run(t, proxytest.Setup{})
	now := p.Now
	const body = `{"anonymousId":"a1"}`
	for i, c := range []struct {
		path, body string
		want       int64 // relative to the time of the call
	}{
		{"/v1/startSession", body, 0},
		{"/v1/startSession", body, 1},
		{"/v1/resetSession", body, 2},
		{"/v1/startSession", fmt.Sprintf(`{"anonymousId":"a1","sessionId":%d}`, now.UnixMilli()+3), 3},
		{"/v1/startSession", body, 4},
		{"/v1/startSession", `{"anonymousId":"a2"}`, 0},
		{"/v1/startSession", `{"anonymousId":"a3","originalTimestamp":"2024-01-01T00:00:00.000Z","sentAt":"2024-01-01T00:00:10.001Z"}`, -10001},
		{"/v1/startSession", `{"anonymousId":"a3","originalTimestamp":"2024-01-01T00:00:10.000Z","sentAt":"2024-01-01T00:00:00.000Z"}`, -1}, // by the latency of the previous request
	} {
		got := p.at(t, now, c.path, c.body)
		if want := fmt.Sprintf("{\"sessionId\":%d}\n", now.UnixMilli()+c.want); got.Body != want {
			t.Errorf("%d: %s, want %s", i, got.Body, want)
		}
	}
}

// TestOneMoment: of two messages with the same time, the later arrival belongs to the
// newer session.
func TestOneMoment(t *testing.T) {
	p := run(t, proxytest.Setup{})
	now := p.Now
	event := func(messageID string) string {
		t.Helper()
		p.at(t, now, "/v1/track", proxytest.Event("a1", messageID))
		return p.arrived(t)
	}
	control := func(path, more string) { p.at(t, now, path, `{"anonymousId":"a1"`+more+`}`) }
	got := []string{event("m1")}
	control("/v1/startSession", `,"sessionId":1234567890`)
	got = append(got, event("m2"))
	control("/v1/startSession", `,"sessionId":2345678901`)
	got = append(got, event("m3"))
	control("/v1/endSession", "")
	got = append(got, event("m4"))
	control("/v1/startSession", `,"sessionId":3456789012`)
	got = append(got, event("m5"), event("m3"))
	want := []string{"", "1234567890!", "2345678901!", "", "3456789012!", "2345678901!"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("sessions %q, want %q", got, want)
	}
}

// TestBatchSentAgain: a retry has another sentAt and arrives later. Its events and control
// calls keep their times.
func TestBatchSentAgain(t *testing.T) {
	p := run(t, proxytest.Setup{})
	p.Start(t, "a1", id1)
	made := p.Now.Add(time.Minute)
	for _, late := range []time.Duration{0, 5 * time.Second, 3 * time.Hour} {
		at := func(ago time.Duration) string { return proxytest.Fill(`"originalTimestamp":"$now"`, made.Add(-ago)) }
		body := `{"batch":[
			{"type":"page","anonymousId":"a1","messageId":"m1",` + at(300*time.Millisecond) + `},
			{"type":"startSession","anonymousId":"a1","messageId":"c1","sessionId":2345678901,` + at(200*time.Millisecond) + `},
			{"type":"page","anonymousId":"a1","messageId":"m2",` + at(200*time.Millisecond) + `},
			{"type":"endSession","anonymousId":"a1","messageId":"c2",` + at(100*time.Millisecond) + `},
			{"type":"page","anonymousId":"a1","messageId":"m3","context":{"sessionId":1},` + at(0) + `}
		],` + proxytest.Fill(`"sentAt":"$now"}`, made.Add(late))
		p.at(t, made.Add(late), "/v1/batch", body)
		p.Expect(t, "1234567890!", "2345678901!", "")
		if late == 0 {
			// The user starts another session before the retry.
			p.at(t, made.Add(time.Second), "/v1/startSession", `{"anonymousId":"a1","sessionId":3456789012}`)
		}
		p.at(t, made.Add(late).Add(2*time.Second), "/v1/page", `{"anonymousId":"a1","messageId":"m4"}`)
		p.Expect(t, "3456789012!")
	}
}

// TestAutomaticSessions: when the proxy's automatic sessions begin.
func TestAutomaticSessions(t *testing.T) {
	const timeout, cutoff = 30 * time.Minute, time.Hour
	p := run(t, proxytest.Setup{Session: "automatic proxy 30m\ncutoff 1h"})
	begin := p.Now
	n := 0
	// is expects an event that is received at one time to be in the session that began at
	// another.
	is := func(anonymousID string, received, began time.Time, first bool) {
		t.Helper()
		n++
		p.at(t, received, "/v1/track", proxytest.Event(anonymousID, fmt.Sprint("m", n)))
		want := millis(began)
		if first {
			want += "!"
		}
		if got := p.arrived(t); got != want {
			t.Errorf("session %s, want %s", got, want)
		}
	}
	is("a1", begin, begin, true)
	is("a1", begin.Add(timeout), begin, false)
	is("a1", begin.Add(cutoff), begin, false)
	second := begin.Add(cutoff + time.Millisecond)
	is("a1", second, second, true)
	is("a1", second.Add(timeout), second, false)
	third := second.Add(2*timeout + time.Millisecond)
	is("a1", third, third, true)
	is("a1", third.Add(time.Minute), third, false)
	p.at(t, third.Add(2*time.Minute), "/v1/track", fmt.Sprintf(
		`{"anonymousId":"a1","messageId":"late","originalTimestamp":%q}`, proxytest.Fill("$now", second.Add(timeout+time.Minute))))
	if got := p.arrived(t); got != millis(second) {
		t.Errorf("late: session %s, want %s", got, millis(second))
	}
}

// TestRetention: users who were not seen for the retention are forgotten, others are not.
func TestRetention(t *testing.T) {
	p := run(t, proxytest.Setup{Global: "rudder_session {\n\tretention 10h\n}"})
	now := p.Now
	p.at(t, now, "/v1/startSession", `{"anonymousId":"a1","sessionId":1234567890}`)
	for i, c := range []struct {
		after time.Duration
		want  string
	}{{9 * time.Hour, "1234567890!"}, {9 * time.Hour, "1234567890"}, {9 * time.Hour, "1234567890"}, {12 * time.Hour, ""}} {
		now = now.Add(c.after)
		p.at(t, now, "/v1/track", proxytest.Event("a1", fmt.Sprint("m", i)))
		if got := p.arrived(t); got != c.want {
			t.Errorf("event %d: session %q, want %q", i, got, c.want)
		}
	}
}

// TestNeverLaterThanReceived: events of a device whose clock is ahead are not later than
// their arrival.
func TestNeverLaterThanReceived(t *testing.T) {
	p := run(t, proxytest.Setup{Session: "automatic proxy"})
	const ahead = `{"anonymousId":"a1","messageId":"m1","originalTimestamp":"2024-01-01T01:00:00Z","sentAt":"2024-01-01T00:00:00Z"}`
	now := p.Now
	p.at(t, now, "/v1/track", ahead)
	if got := p.arrived(t); got != millis(now)+"!" {
		t.Errorf("session %s, want %s", got, millis(now))
	}
}
