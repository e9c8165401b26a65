// Package enrich works on the body of a request: it finds the messages in it
// and where their few fields stand, asks a [sessionstate.Table] what to do, and
// splices the answers in. Bytes in, bytes out: all other bytes stay as they are.
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

// Mark is a start mark that an event of the request carries. Where the data
// plane refuses that event for good it is to be released.
type Mark struct {
	Key       string
	Message   session.MessageID
	SessionID int64
}

// Release frees the mark for the session's next event.
func (m *Mark) Release(ctx context.Context, table *sessionstate.Table) error {
	return table.Release(ctx, m.Key, m.Message, m.SessionID)
}

// Result is a request's body after its messages were decided about.
type Result struct {
	// Body is what to forward instead of the body given; nil to forward that as
	// it is.
	Body Body
	// Empty: all messages were consumed, nothing is left to be forwarded.
	Empty bool
	Marks []Mark
	// Unreadable: the body is not such that the data plane would take it.
	Unreadable bool
	// TooMany: it is so because there are more messages in it than are looked at.
	TooMany bool
	// SessionID is that of the first event that was stamped or, where there is
	// none, of the first control call that was answered with one; 0 for none.
	SessionID int64
	Outcome
}

// Enrich decides about the messages of an event request and returns the body to
// forward. It never fails: whatever it cannot read, or has no session state
// for, stays as it is. Nothing of body is changed, and nothing kept but by the
// result's Body.
func Enrich(ctx context.Context, table *sessionstate.Table, r *Request, body []byte) Result {
	w := works.Get().(*work)
	defer w.free()
	if len(body) > r.MaxBody || !w.parse(r, body) {
		return Result{Unreadable: true, TooMany: len(w.payload.messages) > maxMessages}
	}
	result := Result{}
	w.enrich(ctx, table, r, &result)
	return result
}

// work is the memory of one request, used again for others.
type work struct {
	payload  payload
	subjects []subject
	keys     []byte
	asked    asked
	edits    []edit
	scratch  sessionstate.Scratch
	// link is where in keys the last text of linkTo stands.
	link    span
	request session.Request
	limiter startLimiter
	// later are the subjects for whose decision there was more to be asked.
	later []int
	// previews are what sessions would become, in a dry run; nil else.
	previews map[string]*session.Session
	// noRoom: the body would be too large with what was decided.
	noRoom bool
	// inserted has the texts of edits.
	inserted []byte
	// idText is the session id that was last written.
	id     int64
	idText []byte
	// members is what apply cuts from one message, cuts what collect cuts from
	// the batch.
	members, cuts []member
}

var works = sync.Pool{New: func() any { return newWork() }}

func newWork() *work { return &work{asked: asked{groups: map[string]int32{}}} }

// maxMessages bounds the memory of a request: a message takes some hundred bytes
// of it, and two in a body. Events are so long that a body has room for fewer.
const maxMessages = 1 << 15

// maxKept is how many messages a work may have had to be kept: a batch of
// unusual size is not to occupy memory for ever.
const maxKept = 4096

func (w *work) free() {
	if cap(w.payload.messages) > maxKept || cap(w.keys) > maxKept*64 || cap(w.inserted) > maxKept*64 ||
		cap(w.payload.fields) > maxKept*4 || cap(w.edits) > maxKept*8 || cap(w.members) > maxKept*4 {
		return
	}
	w.payload.b = nil
	if len(w.asked.groups) > 0 {
		clear(w.asked.groups)
	}
	w.previews = nil
	w.request, w.limiter = session.Request{}, startLimiter{answers: w.limiter.answers[:0]}
	works.Put(w)
}

func (w *work) parse(r *Request, body []byte) bool {
	w.subjects, w.keys, w.edits, w.link = w.subjects[:0], w.keys[:0], w.edits[:0], span{}
	if r.Endpoint == Batch {
		return w.payload.parseBatch(body)
	}
	return w.payload.parseSingle(body)
}

func (w *work) enrich(ctx context.Context, table *sessionstate.Table, r *Request, result *Result) {
	for i := range w.payload.messages {
		if skip := w.extract(r, i); skip != Asked {
			result.skip(skip)
		}
	}
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
	if result.Consumed() == len(w.payload.messages) {
		result.Empty = true
		return
	}
	w.collect(!r.Shadow)
	result.Marks = w.marks()
	if n := grown(w.edits); n > 0 && n+len(w.payload.b) > r.MaxBody-reserve(r.Endpoint) {
		// The data plane would refuse what it would have taken unchanged.
		ctx, cancel := context.WithTimeout(ctx, longestWait)
		defer cancel()
		for i := range result.Marks {
			// One that cannot be released stays with an event that does not carry
			// it; where the store does not answer there is no better.
			_ = result.Marks[i].Release(ctx, table)
		}
		result.Marks = nil
		result.unchange()
		w.noRoom = true
		w.collect(false)
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

// reserve is what the data plane adds to a single event before it measures it:
// it wraps it as a batch of one (21 bytes), and adds its type if it has none.
func reserve(e Endpoint) int {
	if e == Batch {
		return 0
	}
	return 21 + len(`,"type":"identify"`)
}

// collect gathers the edits of the whole body, sorted: control calls are cut
// out and, if events is set, the decisions about events done.
func (w *work) collect(events bool) {
	w.edits, w.inserted, w.cuts = w.edits[:0], w.inserted[:0], w.cuts[:0]
	for i := range w.subjects {
		s := &w.subjects[i]
		m := &w.payload.messages[s.index]
		if s.event.Kind.Control() {
			w.cuts = append(w.cuts, m.member)
		} else if events {
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
