package enrich

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// realEvent is a track call as the JavaScript SDK sends it, 1.7 KB long.
func realEvent(user, n int) string {
	return fmt.Sprintf(`{"properties":{"product_id":"507f1f77bcf86cd799439011","sku":"G-32","category":"Games","name":"Monopoly: 3rd Edition","brand":"Hasbro","variant":"200 pieces","price":18.99,"quantity":1,"coupon":"MAYDEALS","currency":"USD","position":3,"value":18.99,"url":"https://www.website.com/product/path","image_url":"https://www.website.com/product/path.webp","tags":["board","family","classic"]},"event":"Product Viewed","type":"track","channel":"web","context":{"traits":{"email":"alex@example.com","plan":"enterprise","logins":5},"sessionId":1795424331675,"app":{"name":"RudderLabs JavaScript SDK","namespace":"com.rudderlabs.javascript","version":"3.34.1","installType":"npm"},"library":{"name":"RudderLabs JavaScript SDK","version":"3.34.1","variant":"bundled"},"userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36","os":{"name":"","version":""},"locale":"en-US","screen":{"width":1280,"height":720,"density":1,"innerWidth":1280,"innerHeight":720},"campaign":{"source":"newsletter","medium":"email","name":"spring_sale"},"page":{"path":"/product/path","referrer":"https://www.google.com/","referring_domain":"www.google.com","search":"?utm_source=newsletter&utm_medium=email","title":"Monopoly: 3rd Edition | Website","url":"https://www.website.com/product/path?utm_source=newsletter&utm_medium=email","tab_url":"https://www.website.com/product/path","initial_referrer":"$direct","initial_referring_domain":""},"timezone":"GMT+0000"},"originalTimestamp":"2026-11-23T08:58:51.871Z","messageId":"74318f0e-c897-4bc8-b1fd-%012d","userId":"user-%08d","anonymousId":"667bad4e-5ae6-4418-b1c8-%012d","integrations":{"All":true},"sentAt":"2026-11-23T08:58:51.871Z"}`, n, user, user)
}

func realBatch(events, users int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"batch":[`)
	for i := range events {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(realEvent(i%users, i))
	}
	b.WriteString(`],"sentAt":"2026-11-23T08:58:51.871Z"}`)
	return b.Bytes()
}

const benchNow = 1795424331871 + 1000

func benchTable(tb testing.TB, users int) (*sessionstate.Table, *Request) {
	tb.Helper()
	table := sessionstate.NewTable(memorystore.New(), sessionstate.Options{Settings: sessionstate.Settings{Capacity: 1_000_000}})
	r := &Request{
		WriteKey: "2abCdEfGhIjKlMnOpQrStUvWxYz", Received: benchNow, MaxBody: 4096000,
		Names:  Names{"startSession", "endSession", "resetSession"},
		Policy: &session.Policy{Timeout: 1800000, Retention: 400 * 86400000},
	}
	start := *r
	start.Endpoint, start.Received = StartSession, benchNow-60000
	for i := range users {
		body := fmt.Sprintf(`{"anonymousId":"667bad4e-5ae6-4418-b1c8-%012d"}`, i)
		if _, _, err := Control(context.Background(), table, &start, []byte(body)); err != nil {
			tb.Fatal(err)
		}
		if res := Enrich(context.Background(), table, r, []byte(`{"batch":[`+realEvent(i, 1<<30+i)+`]}`)); res.Stamped != 1 {
			tb.Fatal("not stamped")
		}
	}
	return table, r
}

// BenchmarkEnrich enriches events of known sessions, compared with other ways to process
// the same bytes.
func BenchmarkEnrich(b *testing.B) {
	for _, shape := range []struct {
		name          string
		events, users int
	}{{"1", 1, 1}, {"100", 100, 1}, {"100users", 100, 100}, {"1000", 1000, 10}} {
		table, r := benchTable(b, shape.users)
		body := realBatch(shape.events, shape.users)
		if shape.events == 1 {
			r.Endpoint = Track
			body = []byte(realEvent(0, 0))
		}
		run := func(name string, f func()) {
			b.Run(name+"/"+shape.name, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					f()
				}
			})
		}
		run("enrich", func() {
			if res := Enrich(context.Background(), table, r, body); res.Stamped != shape.events || res.Body == nil {
				b.Fatalf("%+v", res.Outcome)
			}
		})
		same := Enrich(context.Background(), table, r, body).Body.Bytes()
		run("unchanged", func() {
			if res := Enrich(context.Background(), table, r, same); res.Body != nil {
				b.Fatal("changed")
			}
		})
		run("parse", func() {
			w := works.Get().(*work)
			if !w.parse(r, body) {
				b.Fatal("invalid")
			}
			w.free()
		})
		run("gjson.ValidBytes", func() {
			if !gjson.ValidBytes(body) {
				b.Fatal("invalid")
			}
		})
		if shape.name == "1000" || shape.name == "100users" {
			continue
		}
		run("encodingjson", func() {
			var v map[string]any
			if err := json.Unmarshal(body, &v); err != nil {
				b.Fatal(err)
			}
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		})
		run("sjson", func() {
			out := body
			for i := range shape.events {
				path := "context.sessionId"
				if r.Endpoint == Batch {
					path = "batch." + strconv.Itoa(i) + "." + path
				}
				var err error
				if out, err = sjson.SetBytes(out, path, 1795424331000); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
