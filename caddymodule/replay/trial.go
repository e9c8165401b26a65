package replay

import (
	"context"
	"math/bits"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// trial is one policy that is tried: its sessions, and what is counted of them.
type trial struct {
	*Options
	site   caddymodule.Site
	table  *sessionstate.Table
	states *states
	// workers are the figures of each worker.
	workers []*figures
}

func newTrial(o *Options, index int, file *spillFile, workers int) *trial {
	t := &trial{Options: o, site: o.Policies[index].Site, states: newStates(file, byte(index), o.Capacity)}
	t.table = sessionstate.NewTable(&sessions{t.states}, sessionstate.Options{Reproducible: true})
	for range workers {
		t.workers = append(t.workers, newFigures())
	}
	return t
}

// job is what a trial has to do about one line.
type job struct {
	request *enrich.Request
	// parsed is nil if the handler does not read such a line.
	parsed *enrich.Parsed
	// messages is how many it had.
	messages int
	// lanes has a bit for each lane of the table that the line is about.
	lanes uint64
	// passed: the line is a request, or an event, that is passed on unread. refused: it
	// is a request to a control endpoint that is refused unread.
	passed, refused bool
}

// output is what becomes of a line.
type output struct {
	omitted bool
	pieces  [][]byte // nil: the line as it came
}

// read reads what a line's handler would get. serial differs for each line.
func (t *trial) read(l *line, serial uint64) (j job) {
	endpoint, writeKey, known := t.endpoint(l)
	switch {
	case !known:
		j.passed = l.form >= event
		return j
	case endpoint.Control():
		j.refused = writeKey == "" || !t.site.Listed(writeKey)
	default:
		j.passed = !t.site.Listed(writeKey) || l.ofJob || l.form == request && writeKey == ""
	}
	if j.passed {
		return j
	}
	j.request = t.site.Request(l.received, endpoint, writeKey)
	j.request.Serial = serial
	j.request.Stored = l.form == event
	j.request.KeepControls = !t.OmitControls
	if j.refused = j.refused || endpoint.Control() && len(l.body) > j.request.MaxBody; j.refused {
		return j
	}
	j.parsed = enrich.Parse(j.request, l.body)
	j.parsed.EachKey(func(key string) bool {
		j.lanes |= 1 << sessionstate.Lane(key)
		return true
	})
	if j.request.Follow && j.lanes != 0 {
		j.lanes = ^uint64(0) // which device a user's event follows is not known yet
	}
	return j
}

// endpoint returns what a line is for, and its write key, "" for none; known: the
// handler knows such requests.
func (t *trial) endpoint(l *line) (e enrich.Endpoint, writeKey string, known bool) {
	switch {
	case l.form == event, l.form == batch:
		return enrich.Batch, l.writeKey, true
	case l.form == request && l.post:
		e, beacon, known := t.site.Endpoint(l.path)
		return e, l.keyAt(e, beacon), known
	}
	return 0, "", false
}

// oneLane reports whether a job is about one lane at most.
func (j *job) oneLane() bool { return bits.OnesCount64(j.lanes) <= 1 }

// decide decides about a line. Lines of one lane must come in order, and be decided
// about by one worker at a time.
func (t *trial) decide(ctx context.Context, worker int, l *line, j *job, at place) (out output) {
	f := t.workers[worker]
	switch {
	case j.passed:
		f.passed++
		return out
	case j.refused:
		f.failedControls++
		return t.controlOutput(l, j)
	case j.parsed == nil:
		return out
	}
	j.request.Observe = func(all []enrich.Verdict) {
		j.messages = len(all)
		for i := range all {
			t.count(f, &all[i], l.received, at)
		}
	}
	if j.request.Endpoint.Control() {
		return t.control(ctx, f, l, j)
	}
	return t.events(ctx, f, l, j)
}

func (t *trial) events(ctx context.Context, f *figures, l *line, j *job) (out output) {
	result := j.parsed.Enrich(ctx, t.table)
	f.outcome.Add(&result.Outcome)
	if caddymodule.Refused(l.status) {
		for i := range result.Marks {
			// The store cannot fail: what goes wrong with its file ends the replay.
			_ = result.Marks[i].Release(ctx, t.table)
		}
	}
	switch {
	case result.Unreadable:
		f.passed++
	case result.Empty:
		out.omitted = true
	case result.Body != nil:
		out.pieces = l.with(result.Body)
	}
	return out
}

func (t *trial) control(ctx context.Context, f *figures, l *line, j *job) (out output) {
	_, outcome, err := j.parsed.Control(ctx, t.table)
	f.outcome.Add(&outcome)
	if err != nil {
		f.failedControls++
	}
	return t.controlOutput(l, j)
}

// controlOutput is what becomes of a request to a control endpoint.
func (t *trial) controlOutput(l *line, j *job) output {
	if t.OmitControls {
		return output{omitted: true}
	}
	return output{pieces: l.marked(j.request.Endpoint.String())}
}

// count counts a message.
func (t *trial) count(f *figures, v *enrich.Verdict, received int64, at place) {
	r := f.reason(reasonKey{v.Action(), v.Reason()})
	r.n++
	if at.before(r.example) {
		r.example = at
		if t.IDs {
			r.ids = &ids{v.AnonymousID, v.UserID, v.MessageID}
		}
	}
	if v.Refused || v.Skip == enrich.Asked && v.Kind.Control() {
		return
	}
	s := f.event(v)
	if v.Key == "" || v.Skip == enrich.OtherType || v.Skip == enrich.OfJob {
		return
	}
	if v.Decision.At.Time != 0 {
		received = v.Decision.At.Time
	}
	if elsewhere[v.Decision.Because.Reason] {
		s.before, s.after = 0, 0
	}
	t.user(f, v, &s, received)
}

// elsewhere are the reasons of events whose session is that of another key, or a
// device's that told its server: it is counted with the device's events.
var elsewhere = map[session.Reason]bool{
	session.InDeviceSession: true, session.NoDeviceSession: true,
	session.OwnSession: true, session.OwnSessionUnmarked: true,
}

// user counts an event of a user with the sessions that it is in.
func (t *trial) user(f *figures, v *enrich.Verdict, s *sides, at int64) {
	message := messageHash(v)
	t.states.with(v.Key, true, func(of *state) {
		u := &of.user
		if !u.counted {
			u.counted = true
			f.users++
		}
		if s.before != 0 {
			u.before = note(u.before, s.before, at, s.after, s.markedBefore, message, f.before.session)
		}
		if s.after != 0 {
			u.after = note(u.after, s.after, at, s.before, s.markedAfter, message, f.after.session)
		}
	})
}

// total adds all up, with the sessions that are not counted yet.
func (t *trial) total() *figures {
	sum := newFigures()
	for _, f := range t.workers {
		sum.add(f)
	}
	t.states.each(func(_ string, of *state) {
		for i := range of.user.before {
			sum.before.session(&of.user.before[i])
		}
		for i := range of.user.after {
			sum.after.session(&of.user.after[i])
		}
	})
	return sum
}
