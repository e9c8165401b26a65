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
	"sync/atomic"
	"unsafe"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// Outcome counts what was done to the messages of a request.
type Outcome struct {
	// Stamped and Cleared events got a session id, or lost their own; the rest
	// of the messages went on untouched. With Shadow it is what would have been.
	Stamped, Cleared, Untouched int
	// Consumed control calls were not forwarded, by kind.
	Starts, Ends, Resets int
	// InvalidIDs counts startSession calls whose sessionId broke a rule.
	InvalidIDs int
	// StoreErrors counts keys whose session could not be had; Err is the first
	// of the errors.
	StoreErrors int
	Err         error
	// ControlFailed: the session of a control call could not be had. The request
	// must not be answered as if it had been carried out.
	ControlFailed bool
}

// Consumed returns how many messages were control calls.
func (o *Outcome) Consumed() int { return o.Starts + o.Ends + o.Resets }

// Mark is a start mark that an event of the request carries. Where the data
// plane refuses that event for good it is to be released.
type Mark struct {
	Key       string
	Message   sessionstate.MessageID
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
		return Result{}
	}
	result := Result{}
	w.enrich(ctx, table, r, &result)
	return result
}

// work is the memory of one request, used again for others.
type work struct {
	payload   payload
	subjects  []subject
	keys      []byte
	groups    map[string]int32
	chains    []chain
	behind    []int32
	order     []int32
	runs      []run
	events    []sessionstate.Event
	decisions []sessionstate.Decision
	edits     []edit
	// inserted has the texts of edits.
	inserted []byte
	// idText is the session id that was last written.
	id     int64
	idText []byte
	// members is what apply cuts from one message, cuts what collect cuts from
	// the batch.
	members, cuts []member
}

var works = sync.Pool{New: func() any { return &work{groups: map[string]int32{}} }}

// maxKept is how many messages a work may have had to be kept: a batch of
// unusual size is not to occupy memory for ever.
const maxKept = 4096

func (w *work) free() {
	if cap(w.payload.messages) > maxKept || cap(w.keys) > maxKept*64 || cap(w.inserted) > maxKept*64 {
		return
	}
	w.payload.b = nil
	if len(w.groups) > 0 {
		clear(w.groups)
	}
	works.Put(w)
}

func (w *work) parse(r *Request, body []byte) bool {
	w.subjects, w.keys, w.edits = w.subjects[:0], w.keys[:0], w.edits[:0]
	if r.Endpoint == Batch {
		return w.payload.parseBatch(body)
	}
	return w.payload.parseSingle(body)
}

func (w *work) enrich(ctx context.Context, table *sessionstate.Table, r *Request, result *Result) {
	for i := range w.payload.messages {
		w.extract(r, i)
	}
	result.Untouched = len(w.payload.messages) - len(w.subjects)
	if len(w.subjects) == 0 {
		return
	}
	w.decide(ctx, table, r, &result.Outcome)
	if result.ControlFailed {
		return
	}
	if result.Consumed() == len(w.payload.messages) {
		result.Empty = true
		return
	}
	w.collect(!r.Shadow)
	result.Marks = w.marks()
	if n := grown(w.edits); n > 0 && n+len(w.payload.b) > r.MaxBody-reserve(r.Endpoint) {
		// The data plane would refuse what it would have taken unchanged.
		for i := range result.Marks {
			// One that cannot be released stays with an event that does not carry
			// it; where the store does not answer there is no better.
			_ = result.Marks[i].Release(ctx, table)
		}
		result.Marks = nil
		result.Untouched += result.Stamped + result.Cleared
		result.Stamped, result.Cleared = 0, 0
		w.collect(false)
	}
	if len(w.edits) > 0 {
		result.Body = w.splice()
	}
}

// reserve is what the data plane adds to a single event before it measures it:
// it wraps it as a batch of one (21 bytes), and adds its type if it has none.
func reserve(e Endpoint) int {
	if e == Batch {
		return 0
	}
	return 21 + len(`,"type":"identify"`)
}

// decide asks the table about all subjects, key by key.
func (w *work) decide(ctx context.Context, table *sessionstate.Table, r *Request, o *Outcome) {
	n := len(w.subjects)
	w.events = grow(w.events, n)
	w.decisions = grow(w.decisions, n)
	// A copy of the keys would be a twentieth of the time that an event takes.
	// This string changes when w is used again: until then group and ApplyNow
	// have returned, neither of which keeps a key, and marks and wait make their
	// own. w.groups, which has it, is cleared by free.
	keys := unsafe.String(unsafe.SliceData(w.keys), len(w.keys))
	w.group(keys)
	w.runs = w.runs[:0]
	waiting := 0
	for from := 0; from < n; {
		key := w.subjects[w.order[from]].key
		to := from
		for ; to < n && w.subjects[w.order[to]].key == key; to++ {
			w.events[to] = w.subjects[w.order[to]].event
		}
		w.timeControls(from, to)
		run := run{from: from, to: to, key: key}
		run.done = table.ApplyNow(keys[key.start:key.end], r.Received, r.Policy, w.events[from:to], w.decisions[from:to])
		if !run.done {
			waiting++
		}
		w.runs = append(w.runs, run)
		from = to
	}
	if waiting > 0 {
		w.wait(ctx, table, r, waiting)
	}
	for i := range w.runs {
		run := &w.runs[i]
		if run.err != nil {
			o.fail(run.err, w.events[run.from:run.to])
			clear(w.decisions[run.from:run.to])
			run.err = nil
		}
		for i := run.from; i < run.to; i++ {
			s := &w.subjects[w.order[i]]
			s.decision = w.decisions[i]
			o.count(s)
		}
	}
}

// run is the messages of one key: w.order[from:to].
type run struct {
	from, to int
	key      span
	done     bool
	err      error
}

// atOnce is for how many keys of a request a store is waited for at the same
// time.
const atOnce = 16

// wait asks the table about the keys for which it has to ask its store.
func (w *work) wait(ctx context.Context, table *sessionstate.Table, r *Request, waiting int) {
	keys := string(w.keys)
	var next atomic.Int64
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(w.runs) {
				return
			}
			if run := &w.runs[i]; !run.done {
				key := keys[run.key.start:run.key.end]
				run.err = table.Apply(ctx, key, r.Received, r.Policy, w.events[run.from:run.to], w.decisions[run.from:run.to])
			}
		}
	}
	var others sync.WaitGroup
	for range min(waiting, atOnce) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

func (o *Outcome) fail(err error, events []sessionstate.Event) {
	o.StoreErrors++
	if o.Err == nil {
		o.Err = err
	}
	for i := range events {
		o.ControlFailed = o.ControlFailed || events[i].Kind.Control()
	}
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// group makes w.order the order of the subjects by key, and those of one key
// in the order of the body, with equal keys at equal spans.
func (w *work) group(keys string) {
	n := len(w.subjects)
	w.order = grow(w.order, n)
	same := true
	for i := range w.subjects {
		w.order[i] = int32(i)
		same = same && w.subjects[i].key == w.subjects[0].key
	}
	if same {
		return
	}
	// A chain of subjects for each key, and then one chain after the other.
	w.chains, w.behind = w.chains[:0], grow(w.behind, n)
	at := -1
	for i := range w.subjects {
		s := &w.subjects[i]
		if i == 0 || s.key != w.subjects[i-1].key {
			key := keys[s.key.start:s.key.end]
			known, ok := w.groups[key]
			if at = int(known); !ok {
				at = len(w.chains)
				w.groups[key] = int32(at)
				w.chains = append(w.chains, chain{first: int32(i), last: int32(i)})
			}
		}
		c := &w.chains[at]
		s.key = w.subjects[c.first].key
		w.behind[c.last], w.behind[i] = int32(i), -1
		c.last = int32(i)
	}
	w.order = w.order[:0]
	for _, c := range w.chains {
		for i := c.first; i >= 0; i = w.behind[i] {
			w.order = append(w.order, i)
		}
	}
}

// chain is the subjects of one key, from one to the next by work.behind.
type chain struct{ first, last int32 }

// timeControls gives the control calls that do not say when they happened, in
// a batch whose events do, a moment that their place in it tells: not after
// any message of the same key behind them.
func (w *work) timeControls(from, to int) {
	if to-from < 2 {
		return
	}
	next := w.events[to-1].Time
	for i := to - 2; i >= from; i-- {
		e := &w.events[i]
		if e.Kind.Control() && w.subjects[w.order[i]].untimed {
			e.Time = min(e.Time, next)
		}
		next = min(next, e.Time)
	}
}

func (o *Outcome) count(s *subject) {
	switch s.event.Kind {
	case sessionstate.Start:
		o.Starts++
		if s.invalidID != nil {
			o.InvalidIDs++
		}
	case sessionstate.End:
		o.Ends++
	case sessionstate.Reset:
		o.Resets++
	default:
		switch s.decision.Action {
		case sessionstate.Stamp:
			o.Stamped++
		case sessionstate.Clear:
			o.Cleared++
		default:
			o.Untouched++
		}
	}
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
