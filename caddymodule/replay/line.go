package replay

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/rudder-session/rudder-session/enrich"
)

// form is the kind of a line.
type form uint8

const (
	// blank: nothing but white space.
	blank form = iota
	// notJSON: not a JSON object.
	notJSON
	// notEvent: an object that is neither an event nor a request, or does not say
	// when it was received.
	notEvent
	// event: one event as the data plane stores it.
	event
	// batch: a request as the data plane's gateway stores it: an object with `batch`,
	// `receivedAt` and `writeKey`.
	batch
	// request: a request, with `path`, `writeKey`, `receivedAt` and `body`.
	request
)

// line is one line of the input, parsed.
type line struct {
	text []byte // with the line's end
	form form

	received int64
	// writeKey is the line's own, or else the fallback; "" for none.
	writeKey string
	// body is the body that the handler would get. text has it between bodyAt and
	// bodyEnd: the same bytes or, if quoted is set, as a JSON string.
	body            []byte
	bodyAt, bodyEnd int
	quoted          bool

	// For an event: the values that its session key is made of, as JSON; nil for those
	// that it does not have.
	anonymousID, userID, channel []byte

	// For a request:
	path                string // without the query
	headerKey, queryKey string // the write keys in the Authorization header and the query
	ofJob               bool   // it came from a rETL or cloud-extract job
	post                bool
	status              int // of the answer; 0 if it is not known
}

// readLine reads a line. fallback is the write key of lines that have none.
func readLine(text []byte, fallback string) line {
	l := line{text: text, writeKey: fallback, post: true}
	trimmed := bytes.TrimRight(text, "\r\n")
	if len(bytes.TrimLeft(trimmed, " \t\r\n")) == 0 {
		return l
	}
	var m members
	if !enrich.EachMember(trimmed, func(key []byte, start, end int) { m.note(key, trimmed[start:end], start) }) {
		l.form = notJSON
		return l
	}
	l.form = notEvent
	if m.received == nil || !l.receivedAt(m.received) {
		return l
	}
	said := textOf(m.writeKey)
	if said != "" {
		l.writeKey = said
	}
	switch {
	case m.path != nil && m.body != nil:
		l.request(&m)
		if said != "" {
			l.headerKey, l.queryKey = "", ""
		}
	case m.batch != nil:
		l.form, l.body, l.bodyEnd = batch, trimmed, len(trimmed)
	case m.typ != nil:
		l.form, l.body, l.bodyEnd = event, trimmed, len(trimmed)
		l.anonymousID, l.userID, l.channel = m.anonymousID, m.userID, m.channel
	}
	return l
}

// members are the values of a line that matter, as JSON. The first of duplicates
// counts; null is the same as no member.
type members struct {
	received, writeKey, path, method, body, headers, status, batch, typ []byte
	bodyAt                                                              int
	// In an event, the first counts even if it is null, as in the handler.
	anonymousID, userID, channel []byte
}

func (m *members) note(key, value []byte, at int) {
	var to *[]byte
	switch string(key) {
	case "receivedAt", "tms":
		to = &m.received
	case "writeKey":
		to = &m.writeKey
	case "path", "url":
		to = &m.path
	case "method":
		to = &m.method
	case "body":
		if m.body == nil {
			m.bodyAt = at
		}
		to = &m.body
	case "headers", "rawHeaders":
		to = &m.headers
	case "status", "responded":
		to = &m.status
	case "batch":
		to = &m.batch
	case "type":
		to = &m.typ
	case "anonymousId":
		keepFirst(&m.anonymousID, value)
		return
	case "userId":
		keepFirst(&m.userID, value)
		return
	case "channel":
		keepFirst(&m.channel, value)
		return
	default:
		return
	}
	if *to == nil && string(value) != "null" {
		*to = value
	}
}

func keepFirst(to *[]byte, value []byte) {
	if *to == nil {
		*to = value
	}
}

// receivedAt reads a timestamp, Unix milliseconds, or Unix seconds with a fraction.
func (l *line) receivedAt(value []byte) (ok bool) {
	if value[0] == '"' {
		l.received, ok = enrich.ParseTime(value)
		return ok
	}
	if whole, fraction, ok := strings.Cut(string(value), "."); ok {
		value = []byte(whole + (fraction + "000")[:3])
	}
	return json.Unmarshal(value, &l.received) == nil
}

func (l *line) request(m *members) {
	target, err := url.ParseRequestURI(textOf(m.path))
	if err != nil {
		return
	}
	l.form, l.path = request, target.EscapedPath()
	l.post = m.method == nil || textOf(m.method) == http.MethodPost
	var status int
	if json.Unmarshal(m.status, &status) == nil {
		l.status = status
	}
	l.headers(m.headers)
	l.queryKey = target.Query().Get("writeKey")
	l.bodyAt, l.bodyEnd = m.bodyAt, m.bodyAt+len(m.body)
	if l.body = m.body; m.body[0] == '"' {
		l.body, l.quoted = unquote(m.body[1:len(m.body)-1]), true
	}
}

// headers reads recorded headers, which are pairs of a name and a value: the write key,
// and whether the request is a job's.
func (l *line) headers(value []byte) {
	var pairs [][2]string
	if json.Unmarshal(value, &pairs) != nil {
		return
	}
	r := http.Request{Header: http.Header{}}
	for _, h := range pairs {
		r.Header.Add(h[0], h[1])
	}
	l.headerKey, _, _ = r.BasicAuth()
	l.ofJob = r.Header.Get("X-Rudder-Job-Run-Id") != ""
}

// keyAt returns the write key of a request to an endpoint, "" for none: from the
// request's header or query, wherever the handler would look at this endpoint, or else
// the line's.
func (l *line) keyAt(e enrich.Endpoint, beacon bool) string {
	switch {
	case l.headerKey != "" && !beacon:
		return l.headerKey
	case l.queryKey != "" && (beacon || e.Control()):
		return l.queryKey
	}
	return l.writeKey
}

// textOf returns the text of a JSON string, "" for anything else.
func textOf(value []byte) string {
	if len(value) < 2 || value[0] != '"' {
		return ""
	}
	return string(unquote(value[1 : len(value)-1]))
}

// with returns the line with another body, in pieces.
func (l *line) with(body enrich.Body) [][]byte {
	if l.quoted {
		body = enrich.Body{requote(l.text[l.bodyAt+1:l.bodyEnd-1], l.body, body)}
	}
	pieces := make([][]byte, 0, len(body)+2)
	if l.bodyAt > 0 {
		pieces = append(pieces, l.text[:l.bodyAt])
	}
	pieces = append(pieces, body...)
	if l.bodyEnd < len(l.text) {
		pieces = append(pieces, l.text[l.bodyEnd:])
	}
	return pieces
}

// marked returns the line, in pieces, with an additional first member that names its
// control call.
func (l *line) marked(call string) [][]byte {
	open := bytes.IndexByte(l.text, '{') + 1
	mark := `"rudderSessionControl":"` + call + `",`
	return [][]byte{l.text[:open], []byte(mark), l.text[open:]}
}
