// Package enrich changes the body of a request: it finds the messages in it and
// the positions of the few fields that matter, asks a [sessionstate.Table] for a
// decision about each message, and applies the decisions to the bytes. All other
// bytes stay as they are.
//
// It knows nothing of HTTP and reads no clock.
package enrich

import (
	"context"
	"slices"
	"sync"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Mark is a start mark that an event of the request carries. If the data plane
// refuses that event permanently, the mark must be released.
type Mark struct {
	Key       string
	Message   session.MessageID
	SessionID int64
}

// Release frees the mark for the session's next event.
func (m *Mark) Release(ctx context.Context, table *sessionstate.Table) error {
	return table.Release(ctx, m.Key, m.Message, m.SessionID)
}

// Result is what became of a request's body.
type Result struct {
	// Body is what to forward instead of the given body; nil to forward that one
	// unchanged.
	Body Body
	// Empty: all messages were consumed, so that nothing is left to forward.
	Empty bool
	Marks []Mark
	// Unreadable: the data plane would refuse the body, or it is too large.
	Unreadable bool
	// TooMany: it is unreadable because it has more than 32768 messages.
	TooMany bool
	// SessionID is the id in the first event that was stamped or, if there is none,
	// in the answer to the first control call; 0 for none.
	SessionID int64
	Outcome
}

// Enrich decides about the messages of an event request and returns the body to
// forward. It never fails: what it cannot read, or cannot get the session state
// for, stays as it is. It does not change body; only the result's Body refers to
// it.
func Enrich(ctx context.Context, table *sessionstate.Table, r *Request, body []byte) Result {
	w := works.Get().(*work)
	defer w.free()
	result := Result{}
	if w.read(r, body, &result) {
		w.enrich(ctx, table, r, &result)
	}
	return result
}

// read finds the messages of a body, and those that need a decision. It reports
// whether the body is readable.
func (w *work) read(r *Request, body []byte, result *Result) bool {
	if len(body) > r.MaxBody || !w.parse(r, body) {
		result.Unreadable, result.TooMany = true, len(w.payload.messages) > maxMessages
		return false
	}
	for i := range w.payload.messages {
		if skip := w.extract(r, i); skip != NotSkipped {
			result.skip(skip)
		}
	}
	return true
}

// work is the memory for one request. It is reused for other requests.
type work struct {
	payload  payload
	subjects []subject
	keys     []byte
	groups   keyGroups
	edits    []edit
	scratch  sessionstate.Scratch
	// sent is the sentAt that was read last: most messages of a batch have the same.
	sent sentTime
	// link is the position in keys of the text that linkTo returned last.
	link    span
	request session.Request
	limiter startLimiter
	// waiting are the followers whose decision has to wait for the store.
	waiting []int
	// previews are the sessions as they would become, in a dry run; else nil.
	previews map[string]*session.Session
	// noRoom: applying the decisions would make the body too large.
	noRoom bool
	// inserted has the texts that the edits insert.
	inserted []byte
	// idText is the text of the session id that was written last.
	id     int64
	idText []byte
	// members is what apply cuts from one message, cuts what collect cuts from
	// the batch.
	members, cuts []member
	// borrowed is the memory of verdicts that nobody keeps.
	borrowed []Verdict
}

var works = sync.Pool{New: func() any { return newWork() }}

func newWork() *work { return &work{groups: keyGroups{chainOf: map[string]int32{}}} }

// maxMessages bounds the memory of a request: a message takes some hundred bytes
// of memory, but can be as short as two bytes in a body. Real events are long, so
// that a body of the allowed size has fewer.
const maxMessages = 1 << 15

// maxKept bounds the memory that a work may have grown to and still be reused, in
// messages: an unusually large batch must not occupy memory for ever.
const maxKept = 4096

func (w *work) free() {
	if cap(w.payload.messages) > maxKept || cap(w.keys) > maxKept*64 || cap(w.inserted) > maxKept*64 ||
		cap(w.payload.fields) > maxKept*4 || cap(w.edits) > maxKept*8 || cap(w.members) > maxKept*4 || cap(w.borrowed) > maxKept {
		return
	}
	w.payload.b = nil
	if len(w.groups.chainOf) > 0 {
		clear(w.groups.chainOf)
	}
	w.previews = nil
	w.request, w.limiter = session.Request{}, startLimiter{answers: w.limiter.answers[:0]}
	works.Put(w)
}

func (w *work) parse(r *Request, body []byte) bool {
	w.subjects, w.keys, w.edits, w.link = w.subjects[:0], w.keys[:0], w.edits[:0], span{}
	w.sent = sentTime{} // of the empty text
	if r.Endpoint == Batch && !r.Stored {
		return w.payload.parseBatch(body)
	}
	return w.payload.parseSingle(body)
}

func (w *work) enrich(ctx context.Context, table *sessionstate.Table, r *Request, result *Result) {
	w.noRoom = false
	defer w.observe(r)
	if len(w.subjects) == 0 {
		return
	}
	w.decide(ctx, table, r, &result.Outcome)
	if result.ControlFailed {
		return
	}
	result.SessionID = w.sessionID()
	if result.Consumed() == len(w.payload.messages) && !r.KeepControls {
		result.Empty = true
		return
	}
	w.collect(r, !r.Shadow)
	result.Marks = w.marks()
	if n := grown(w.edits); n > 0 && n+len(w.payload.b) > r.MaxBody-reserve(r.Endpoint) {
		// The data plane would refuse this body, but accept the unchanged one.
		ctx, cancel := context.WithTimeout(ctx, maxStoreWait)
		defer cancel()
		for i := range result.Marks {
			// If the store does not answer, the mark stays assigned to an event that
			// does not carry it. Nothing better can be done.
			_ = result.Marks[i].Release(ctx, table)
		}
		result.Marks = nil
		result.unchange()
		w.noRoom = true
		w.collect(r, false)
	}
	if len(w.edits) > 0 {
		result.Body = w.splice()
	}
}

func (w *work) sessionID() (id int64) {
	for i := range w.subjects {
		d := &w.subjects[i].decision
		if d.Action == session.Stamp {
			return d.SessionID
		}
		if id == 0 {
			id = d.SessionID
		}
	}
	return id
}

// reserve is how many bytes the data plane adds to a single event before it checks
// the size: it wraps the event as a batch of one (21 bytes), and adds the type if
// there is none.
func reserve(e Endpoint) int {
	if e == Batch {
		return 0
	}
	return 21 + len(`,"type":"identify"`)
}

// collect collects the edits of the whole body, sorted: it cuts out control calls, or
// marks them, and, if events is set, applies the decisions about events.
func (w *work) collect(r *Request, events bool) {
	w.edits, w.inserted, w.cuts = w.edits[:0], w.inserted[:0], w.cuts[:0]
	for i := range w.subjects {
		s := &w.subjects[i]
		m := &w.payload.messages[s.index]
		switch control := s.event.Kind.Control(); {
		case control && r.KeepControls:
			w.markControl(m, s.event.Kind)
		case control:
			w.cuts = append(w.cuts, m.member)
		case events:
			w.apply(m, s.decision)
		}
	}
	if len(w.cuts) > 0 {
		w.edits = cut(w.edits, w.cuts)
		slices.SortFunc(w.edits, byStart)
	}
}

// marks lists the start marks that events of the request carry.
func (w *work) marks() (marks []Mark) {
	for i := range w.subjects {
		if s := &w.subjects[i]; s.decision.Start {
			marks = append(marks, Mark{string(s.key.of(w.keys)), s.event.Message, s.decision.SessionID})
		}
	}
	return marks
}
