package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
)

const writeKey = "2abCdEfGhIjKlMnOpQrStUvWxYz"

// request is one request, ready to be sent.
type request struct {
	path   string
	header http.Header
	body   []byte
	// raw is the whole request in HTTP/1.1; body is the last part of it.
	raw []byte
}

// traffic is the requests that one row of the table sends, again and again.
type traffic struct {
	name     string
	events   int // in each request
	zip      bool
	requests []request
}

// users is the number of users with events. Nine in ten have a session.
var users = 20_000

func known(user int) bool { return user%10 != 0 }

// sessionID is the session of a user who has one.
func sessionID(user int) int { return 1_700_000_000_000 + user }

func anonymousID(user int) string {
	return fmt.Sprintf("667bad4e-5ae6-4418-b1c8-%012d", user)
}

// recorded is a page call and a track call as the JavaScript SDK sent them, with their
// headers.
type recorded struct {
	header      http.Header
	page, track string
}

// readCapture reads the recorded calls. It adds the properties, traits and campaign of
// a shop's events, which the recorded ones do not have. That makes them 1.7 KB long.
func readCapture(file string) (recorded, error) {
	f, err := os.Open(file)
	if err != nil {
		return recorded{}, err
	}
	defer f.Close()
	var r recorded
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && (r.page == "" || r.track == "") {
		var c struct {
			Method, URL string
			RawHeaders  [][2]string
			Body        json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return r, fmt.Errorf("%s: %v", file, err)
		}
		if c.Method != http.MethodPost {
			continue
		}
		switch c.URL {
		case "/v1/page":
			r.page = furnish(c.Body)
		case "/v1/track":
			r.track = furnish(c.Body)
			r.header = http.Header{}
			for _, h := range c.RawHeaders {
				switch h[0] {
				case "Host", "Connection", "Content-Length":
				default:
					r.header.Add(h[0], h[1])
				}
			}
			r.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(writeKey+":")))
		}
	}
	if r.page == "" || r.track == "" {
		return r, fmt.Errorf("%s: no page and track calls in it: %v", file, lines.Err())
	}
	return r, nil
}

var furniture = strings.NewReplacer(
	`"properties":{"n":"t1"}`, `"properties":{"product_id":"507f1f77bcf86cd799439011","sku":"G-32","category":"Games","name":"Monopoly: 3rd Edition","brand":"Hasbro","variant":"200 pieces","price":18.99,"quantity":1,"coupon":"MAYDEALS","currency":"USD","position":3,"value":18.99,"url":"https://www.example.com/product/path","image_url":"https://www.example.com/product/path.webp","tags":["board","family","classic"]}`,
	`"event":"t1"`, `"event":"Product Viewed"`,
	`"traits":{}`, `"traits":{"email":"alex@example.com","plan":"enterprise","logins":5}`,
	`"campaign":{}`, `"campaign":{"source":"newsletter","medium":"email","name":"spring_sale"}`,
	`"search":""`, `"search":"?utm_source=newsletter&utm_medium=email"`,
	`"sessionStart":true,`, ``,
)

func furnish(body []byte) string { return furniture.Replace(string(body)) }

// event is a user's event. Each has its own messageId: an event with the messageId of
// the session's first would get the start mark.
func event(template string, user, message int) string {
	var e strings.Builder
	e.Grow(len(template) + 32)
	for _, field := range []struct{ name, value string }{
		{"messageId", fmt.Sprintf("74318f0e-c897-4bc8-b1fd-%012d", message)},
		{"userId", fmt.Sprintf("user-%08d", user)},
		{"anonymousId", anonymousID(user)},
	} {
		before, rest, found := strings.Cut(template, `"`+field.name+`":"`)
		if !found {
			panic("no " + field.name + " in the recorded event")
		}
		_, rest, _ = strings.Cut(rest, `"`)
		fmt.Fprintf(&e, `%s"%s":"%s"`, before, field.name, field.value)
		template = rest
	}
	return e.String() + template
}

// template returns the template of a message: every third is a page call.
func (r *recorded) template(message int) (path, template string) {
	if message%3 == 0 {
		return "/v1/page", r.page
	}
	return "/v1/track", r.track
}

// singles are requests with one event, one for each user, in an order in which
// neighbours in the table do not follow each other.
func (r *recorded) singles(zip bool) traffic {
	t := traffic{name: "one event", events: 1}
	for i := range users {
		path, template := r.template(i)
		t.requests = append(t.requests, r.request(path, event(template, i*7919%users, i), zip))
	}
	return t.named(zip)
}

// batches are requests with n events of n users, at least one event for each user in
// total.
func (r *recorded) batches(n int, zip bool) traffic {
	t := traffic{name: fmt.Sprintf("batch of %d", n), events: n}
	for i := 0; i < max(users, n); i += n {
		t.requests = append(t.requests, r.batch(zip, n, func(j int) string {
			_, template := r.template(j)
			return event(template, (i+j)*7919%users, users+i+j)
		}))
	}
	return t.named(zip)
}

func (t traffic) named(zip bool) traffic {
	if t.zip = zip; zip {
		t.name += ", gzip"
	}
	return t
}

// opening are the requests that start the sessions of known users and send their first
// events. All contestants get the same messages.
func (r *recorded) opening() traffic {
	t := traffic{name: "opening", events: 100}
	for i := 0; i < users; i += 100 {
		var of []int
		for user := i; user < i+100; user++ {
			if known(user) {
				of = append(of, user)
			}
		}
		// The calls were made ten seconds ago: an event that is sent two milliseconds
		// after it happened must not be older than its session.
		t.requests = append(t.requests, r.batch(false, len(of), func(j int) string {
			return fmt.Sprintf(`{"type":"startSession","anonymousId":"%s","sessionId":%d,"originalTimestamp":"2026-11-23T08:58:41.871Z"}`, anonymousID(of[j]), sessionID(of[j]))
		}), r.batch(false, len(of), func(j int) string {
			_, template := r.template(j)
			return event(template, of[j], 1_000_000+of[j])
		}))
	}
	return t
}

func (r *recorded) batch(zip bool, n int, message func(i int) string) request {
	var b strings.Builder
	b.WriteString(`{"batch":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(message(i))
	}
	b.WriteString(`],"sentAt":"2026-11-23T08:58:51.871Z"}`)
	return r.request("/v1/batch", b.String(), zip)
}

var zippers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func (r *recorded) request(path, body string, zip bool) request {
	header := r.header
	if zip {
		header = header.Clone()
		header.Set("Content-Encoding", "gzip")
		var b bytes.Buffer
		w := zippers.Get().(*gzip.Writer)
		defer zippers.Put(w)
		w.Reset(&b)
		w.Write([]byte(body))
		w.Close()
		body = b.String()
	}
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", path)
	header.Write(&raw)
	fmt.Fprintf(&raw, "Content-Length: %d\r\n\r\n", len(body))
	raw.WriteString(body)
	return request{path: path, header: header, body: raw.Bytes()[raw.Len()-len(body):], raw: raw.Bytes()}
}
