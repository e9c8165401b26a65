package enrich

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// BenchmarkVaried is BenchmarkRatio with batches that differ: with the same body each
// time, the processor's branch prediction makes an event seem cheaper than it is.
//
//	go test -run '^$' -bench Varied -benchtime 1x ./enrich
func BenchmarkVaried(b *testing.B) { b.Run("100users", benchmarkVaried) }

func benchmarkVaried(b *testing.B) {
	const users = 20_000
	table, r := benchTable(b, users)
	bodies := variedBatches(40, 100, users)
	at := [3]int{}
	next := func(who int) []byte {
		at[who]++
		return bodies[at[who]%len(bodies)]
	}
	medians := inTurns(b,
		func() { gjson.ValidBytes(next(0)) },
		func() { Enrich(context.Background(), table, r, next(1)) },
		func() {
			w := works.Get().(*work)
			w.parse(r, next(2))
			w.free()
		})
	b.ReportMetric(medians[0]/medians[1], "enriched/valid")
	b.ReportMetric(medians[0]/medians[2], "parsed/valid")
	b.ReportMetric(float64(len(bytes.Join(bodies, nil))/len(bodies))/medians[1]/1e6, "MB/s")
	b.ReportMetric(0, "ns/op")
}

// variedBatches are bodies in which each event is of another user.
func variedBatches(bodies, events, users int) (all [][]byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range bodies {
		var b bytes.Buffer
		b.WriteString(`{"batch":[`)
		for j := range events {
			if j > 0 {
				b.WriteByte(',')
			}
			n := i*events + j
			b.WriteString(variedEvent(r, n*7919%users, n))
		}
		b.WriteString(`],"sentAt":"2026-11-23T08:58:51.871Z"}`)
		all = append(all, b.Bytes())
	}
	return all
}

// variedEvent is a realEvent with texts and numbers of other lengths, and with random
// optional members.
func variedEvent(r *rand.Rand, user, n int) string {
	event := []byte(realEvent(user, n))
	set := func(old, format string, args ...any) {
		event = bytes.Replace(event, []byte(old), fmt.Appendf(nil, format, args...), 1)
	}
	words := []string{"Monopoly: 3rd Edition", "Chess", "Catan, with all that belongs to it", "Go", `A \"quoted\" name`}
	word := func() string { return words[r.IntN(len(words))] }
	set(`"name":"Monopoly: 3rd Edition"`, `"name":"%s"`, word())
	set(`"price":18.99`, `"price":%d.%02d`, r.IntN(1000), r.IntN(100))
	set(`"quantity":1`, `"quantity":%d`, r.IntN(20))
	set(`"position":3`, `"position":%d`, r.IntN(200))
	set(`"event":"Product Viewed"`, `"event":"%s %s"`, word(), word())
	set(`"path":"/product/path"`, `"path":"/product/%x"`, r.Uint32()>>r.IntN(32))
	set(`"title":"Monopoly: 3rd Edition | Website"`, `"title":"%s"`, word())
	set(`"email":"alex@example.com"`, `"email":"%x@example.com"`, r.Uint64()>>r.IntN(64))
	if r.IntN(2) == 0 {
		set(`"coupon":"MAYDEALS",`, ``)
	}
	if r.IntN(3) == 0 {
		set(`"sessionId":1795424331675,`, ``)
	}
	if r.IntN(3) == 0 {
		set(`"campaign":{"source":"newsletter","medium":"email","name":"spring_sale"}`, `"campaign":{}`)
	}
	if r.IntN(3) == 0 {
		set(`"properties":{`, `"properties":{"items":[{"sku":"%x","n":%d},{"sku":"%x","n":%d}],`, r.Uint32(), r.IntN(9), r.Uint32(), r.IntN(99))
	}
	return string(event)
}

// BenchmarkSessions measures the cost of an event in batches of a hundred users, with
// different numbers of sessions (in the metrics' names), all of them in use, in turns.
//
//	go test -run '^$' -bench Sessions -benchtime 1x ./enrich
func BenchmarkSessions(b *testing.B) {
	sizes := []int{10_000, 100_000, 1_000_000}
	var fns []func()
	for _, n := range sizes {
		table, r := benchTableOf(b, n)
		body := realBatch(100, 100)
		ids := twelveBehind(body, `"anonymousId":"667bad4e-5ae6-4418-b1c8-`)
		user := 0
		fns = append(fns, func() {
			for _, id := range ids {
				user = (user + 611_953) % n
				write(id, user)
			}
			if result := Enrich(context.Background(), table, r, body); result.Stamped != 100 {
				b.Fatalf("%+v", result.Outcome)
			}
		})
	}
	for i, median := range inTurns(b, fns...) {
		b.ReportMetric(median*1e7, fmt.Sprintf("ns/event-of-%d-sessions", sizes[i]))
	}
	b.ReportMetric(0, "ns/op")
}

// benchTableOf is benchTable for many users, made faster.
func benchTableOf(b *testing.B, users int) (*sessionstate.Table, *Request) {
	b.Helper()
	_, r := benchTable(b, 0)
	table := sessionstate.NewTable(memorystore.New(), sessionstate.Options{Settings: sessionstate.Settings{Capacity: users * 5 / 4}})
	decisions := make([]session.Decision, 2)
	for i := range users {
		key := r.Key(fmt.Sprintf("667bad4e-5ae6-4418-b1c8-%012d", i), "")
		events := []session.Event{
			{Kind: session.Start, Times: session.Timestamps{Original: benchNow - 60000, HasOriginal: true}, Message: session.MessageID(1 + i)},
			{Times: session.Timestamps{Original: benchNow - 60000, HasOriginal: true}, Message: session.MessageID(1<<40 + i)},
		}
		if err := table.Apply(context.Background(), key, &session.Request{Received: benchNow - 60000, Policy: r.Policy, Events: events}, decisions); err != nil {
			b.Fatal(err)
		}
	}
	return table, r
}

// twelveBehind returns the twelve bytes after each occurrence of a text.
func twelveBehind(body []byte, behind string) (all [][]byte) {
	for {
		_, rest, found := bytes.Cut(body, []byte(behind))
		if !found {
			return all
		}
		all, body = append(all, rest[:12]), rest
	}
}

func write(digits []byte, n int) {
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
}
