// Package traffic generates recorded requests for tests: of several users, with
// everything that SDKs and clients do to sessions. The same seed gives the same
// requests.
package traffic

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Request is a recorded request, with the status of its answer.
type Request struct {
	Path, WriteKey, Body string
	// Received is in Unix milliseconds.
	Received int64
	// Status is the data plane's answer, if the request reached it.
	Status int
}

// Line is the request as a line of a recording, with a member "seq".
func (r *Request) Line(seq int) string {
	return fmt.Sprintf(`{"seq":%d,"path":%q,"writeKey":%q,"receivedAt":%d,"status":%d,"body":%s}`+"\n",
		seq, r.Path, r.WriteKey, r.Received, r.Status, r.Body)
}

// Traffic generates requests. Its fields may be changed before the first one.
type Traffic struct {
	// Users is the number of devices.
	Users int
	// Simple leaves out bodies and messages that are not valid events or control calls.
	Simple bool

	r        *rand.Rand
	now      int64
	messages int
	devices  []*device
	recent   []Request
}

// device is a device, with the state of its SDK and its user.
type device struct {
	anonymousID, user string
	channel, library  string
	clock             int64 // its error, in milliseconds
	session           int64 // the SDK's own; 0 for none
	begins            bool  // its next event has the SDK's start mark
	writeKey          string
}

// New makes traffic from a seed.
func New(seed uint64, users int) *Traffic {
	return &Traffic{Users: users, r: rand.New(rand.NewPCG(seed, 1)), now: 1795424331613}
}

func (t *Traffic) chance(percent int) bool { return t.r.IntN(100) < percent }

func (t *Traffic) among(all ...string) string { return all[t.r.IntN(len(all))] }

// device returns one of the devices, after it has made them at the first call.
func (t *Traffic) device() *device {
	for len(t.devices) < t.Users {
		n := len(t.devices)
		d := &device{anonymousID: fmt.Sprintf("device-%d", n), channel: "web", library: "RudderLabs JavaScript SDK", writeKey: t.among("wk1", "wk1", "wk2")}
		switch t.r.IntN(4) {
		case 0:
			d.channel, d.library = "mobile", "com.rudderstack.android.sdk.core"
		case 1:
			d.channel, d.library = "server", "analytics-node"
		}
		if t.chance(30) {
			d.clock = t.r.Int64N(4*3600_000) - 2*3600_000
		}
		t.devices = append(t.devices, d)
	}
	return t.devices[t.r.IntN(len(t.devices))]
}

// Next makes the next request.
func (t *Traffic) Next() Request {
	t.now += t.r.Int64N(20_000)
	if t.chance(6) {
		t.now += t.r.Int64N(50 * 60_000)
	}
	r := t.request()
	if len(t.recent) > 0 && t.chance(12) {
		r = t.recent[t.r.IntN(len(t.recent))]
	}
	r.Received, r.Status = t.now, 200
	if t.chance(15) {
		r.Status = []int{400, 401, 404, 408, 413, 429, 500, 503}[t.r.IntN(8)]
	}
	if t.recent = append(t.recent, r); len(t.recent) > 12 {
		t.recent = t.recent[1:]
	}
	return r
}

func (t *Traffic) request() Request {
	d := t.device()
	r := Request{WriteKey: d.writeKey}
	switch n := t.r.IntN(100); {
	case n < 12:
		r.Path = "/v1/" + t.among("startSession", "endSession", "resetSession")
		r.Body = t.control(d, "")
	case n < 45:
		d.acts(t)
		kind := t.kind()
		r.Path, r.Body = "/v1/"+kind, t.event(d, kind)
	case n < 48 && !t.Simple:
		r.Path, r.Body = "/v1/batch", t.among(`{"batch":[]}`, `{"batch":{"type":"track","anonymousId":"device-0"}}`, `[1]`, `{"a":1}`, `"text"`)
	default:
		r.Path = t.among("/v1/batch", "/v1/batch", "/beacon/v1/batch?writeKey="+d.writeKey)
		r.Body = t.batch(d)
	}
	return r
}

// batch is a batch of one or several devices.
func (t *Traffic) batch(d *device) string {
	var all []string
	for range 1 + t.r.IntN(6) {
		if t.chance(25) {
			d = t.device()
		}
		d.acts(t)
		switch {
		case t.chance(8):
			all = append(all, t.control(d, t.among("startSession", "endSession", "resetSession")))
		case t.chance(4) && !t.Simple:
			all = append(all, t.among(`{"type":"merge","userId":"u"}`, `{"type":"track","event":"no id"}`, `{"type":"track","userId":"u","context":7}`, `{"type":"audiencelist"}`))
		default:
			all = append(all, t.event(d, t.kind()))
		}
	}
	space := t.among("", " ", "\t")
	return `{"batch":[` + strings.Join(all, space+","+space) + `],"sentAt":"` + t.at(d, 5) + `"}`
}

// acts lets the SDK start or end a session, or the user log out, with some probability.
func (d *device) acts(t *Traffic) {
	switch n := t.r.IntN(100); {
	case n < 12:
		d.session, d.begins = t.now+d.clock, true
	case n < 15:
		d.session = 0
	case n < 19:
		d.user = ""
	}
}

func (t *Traffic) kind() string {
	return t.among("track", "track", "track", "track", "page", "screen", "identify", "identify", "group", "alias")
}

// at is a random time by a device's clock, at most ago milliseconds before now.
func (t *Traffic) at(d *device, ago int64) string {
	return time.UnixMilli(t.now + d.clock - 1 - t.r.Int64N(ago)).UTC().Format("2006-01-02T15:04:05.000Z")
}

// Event generates one event: its type and write key, its body, and the time at which it
// is received.
func (t *Traffic) Event() (kind, writeKey, body string, received int64) {
	t.now += t.r.Int64N(60_000)
	d := t.device()
	d.acts(t)
	kind = t.kind()
	return kind, d.writeKey, t.event(d, kind), t.now
}

// times are an event's timestamps, as members with a comma after each.
func (t *Traffic) times(d *device) string {
	original := fmt.Sprintf(`"originalTimestamp":%q,`, t.at(d, []int64{3000, 30_000, 3_600_000, 5 * 3_600_000}[min(t.r.IntN(12), 3)]))
	sent := fmt.Sprintf(`"sentAt":%q,`, t.at(d, 300))
	switch t.r.IntN(14) {
	case 0:
		return ""
	case 1:
		return original
	case 2:
		return fmt.Sprintf(`"timestamp":%q,`, t.at(d, 7_200_000)) + sent
	}
	return original + sent
}

func (t *Traffic) event(d *device, kind string) string {
	t.messages++
	b := new(strings.Builder)
	fmt.Fprintf(b, `{"type":%q,"channel":%q,`, kind, d.channel)
	if !t.chance(3) {
		fmt.Fprintf(b, `"messageId":"m%d",`, t.messages)
	}
	b.WriteString(t.times(d))
	if kind == "identify" && t.chance(60) {
		d.user = fmt.Sprintf("user-%d", t.r.IntN(t.Users))
	}
	ids := 1 + t.r.IntN(20)
	if d.channel == "server" {
		ids = t.r.IntN(3)
	}
	if ids > 0 || d.user == "" {
		fmt.Fprintf(b, `"anonymousId":%q,`, d.anonymousID)
	}
	if d.user != "" || d.channel == "web" && t.chance(50) || ids == 0 {
		fmt.Fprintf(b, `"userId":%q,`, d.user)
	}
	if kind == "track" {
		b.WriteString(t.track(d))
	}
	t.context(b, d)
	b.WriteByte('}')
	return b.String()
}

// track returns the additional members of a track.
func (t *Traffic) track(d *device) string {
	switch n := t.r.IntN(100); {
	case n < 10:
		return fmt.Sprintf(`"event":%q,"properties":{"sessionId":%s},`, t.among("startSession", "startSession", "endSession", "resetSession"), t.id())
	case n < 18 && d.channel == "mobile":
		return fmt.Sprintf(`"event":"Application Opened","properties":{"from_background":%s},`, t.among("false", "false", "true"))
	case n < 22 && d.channel == "mobile":
		d.session, d.begins = t.now, true
		return `"event":"Application Updated",`
	}
	return `"event":"Clicked","properties":{"price":1.50,"name":"\u00e9"},`
}

// context writes the context, with the SDK's session fields.
func (t *Traffic) context(b *strings.Builder, d *device) {
	if t.chance(4) {
		b.WriteString(t.among(`"context":null`, `"a":1`))
		return
	}
	fmt.Fprintf(b, `%s:{"library":{"name":%q}`, t.among(`"context"`, `"context"`, `"context"`, `"conte\u0078t"`), d.library)
	switch {
	case t.chance(5):
		fmt.Fprintf(b, `,"sessionId":%s`, t.id())
	case d.session != 0:
		fmt.Fprintf(b, `, "sessionId" : %d`, d.session)
	}
	if d.begins || t.chance(3) {
		fmt.Fprintf(b, `,"sessionStart":%s`, t.among("true", "true", "true", "false", "null"))
		d.begins = false
	}
	b.WriteString(`}`)
}

// id is a session id that somebody sends, valid or not.
func (t *Traffic) id() string {
	return t.among(fmt.Sprint(t.now), fmt.Sprint(t.now/1000), fmt.Sprintf("%q", fmt.Sprint(t.now)), "null", "5", `"abc"`, "1234567890.5", "1.23456789e9", "true", "9007199254740993")
}

// control is a control call; kind is "" at an endpoint.
func (t *Traffic) control(d *device, kind string) string {
	t.messages++
	b := new(strings.Builder)
	b.WriteByte('{')
	if kind != "" {
		fmt.Fprintf(b, `"type":%q,`, kind)
	}
	if t.chance(70) {
		fmt.Fprintf(b, `"messageId":"m%d",`, t.messages)
	}
	if t.chance(70) {
		fmt.Fprintf(b, `"originalTimestamp":%q,"sentAt":%q,`, t.at(d, 20_000), t.at(d, 300))
	}
	if t.chance(30) {
		fmt.Fprintf(b, `"sessionId":%s,`, t.id())
	}
	switch {
	case t.chance(3):
		b.WriteString(`"context":{}}`)
	case d.user != "" && t.chance(20):
		fmt.Fprintf(b, `"userId":%q}`, d.user)
	default:
		fmt.Fprintf(b, `"anonymousId":%q}`, d.anonymousID)
	}
	return b.String()
}
