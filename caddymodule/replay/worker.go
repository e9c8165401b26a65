package replay

import (
	"context"
	"strings"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// worker decides lines for a trial, one after the other, and counts the results.
type worker struct {
	trial   *trial
	figures *figures
	// line, place and messages belong to the line that is being decided. request is
	// reused for lines that are one event.
	line     *line
	place    place
	messages int
	request  enrich.Request
	observe  func([]enrich.Verdict)
	// lastKey and lastReason are the reason of the previous message and its figure.
	lastKey    reasonKey
	lastReason *reasonFigure
}

func newWorker(t *trial) *worker {
	w := &worker{trial: t, figures: newFigures()}
	w.observe = func(all []enrich.Verdict) {
		w.messages = len(all)
		for i := range all {
			w.count(&all[i])
		}
	}
	return w
}

// decide decides a line. Lines of one lane must come in order, to one worker at a time.
func (w *worker) decide(ctx context.Context, l *line, j *job, at place) (out output) {
	w.line, w.place, w.messages = l, at, 0
	switch {
	case j.passed:
		w.figures.passed++
	case j.refused:
		w.figures.failedControls++
		out = w.controlOutput(j)
	case !j.read:
	case j.parsed == nil:
		w.trial.fill(&w.request, l, j)
		w.request.Observe = w.observe
		result := enrich.Enrich(ctx, w.trial.table, &w.request, l.body)
		out = w.enriched(ctx, &result)
	default:
		j.request.Observe = w.observe
		if j.endpoint.Control() {
			return w.control(ctx, j)
		}
		result := j.parsed.Enrich(ctx, w.trial.table)
		out = w.enriched(ctx, &result)
	}
	j.messages = w.messages
	return out
}

// reason returns the figure of a reason, which is mostly that of the previous message.
func (w *worker) reason(key reasonKey) *reasonFigure {
	if w.lastReason == nil || key != w.lastKey {
		w.lastKey, w.lastReason = key, w.figures.reason(key)
	}
	return w.lastReason
}

// enriched returns the output for a line with events.
func (w *worker) enriched(ctx context.Context, result *enrich.Result) (out output) {
	w.figures.outcome.Add(&result.Outcome)
	if caddymodule.Refused(w.line.status) {
		for i := range result.Marks {
			// The store returns no errors: a failure of its file ends the replay.
			_ = result.Marks[i].Release(ctx, w.trial.table)
		}
	}
	switch {
	case result.Unreadable:
		w.figures.passed++
	case result.Empty:
		out.omitted = true
	case result.Body != nil:
		out.pieces = w.line.with(result.Body)
	}
	return out
}

func (w *worker) control(ctx context.Context, j *job) output {
	_, outcome, err := j.parsed.Control(ctx, w.trial.table)
	w.figures.outcome.Add(&outcome)
	if err != nil {
		w.figures.failedControls++
	}
	j.messages = w.messages
	return w.controlOutput(j)
}

// controlOutput returns the output for a request to a control endpoint.
func (w *worker) controlOutput(j *job) output {
	if w.trial.OmitControls {
		return output{omitted: true}
	}
	return output{pieces: w.line.marked(j.endpoint.String())}
}

// count counts a message.
func (w *worker) count(v *enrich.Verdict) {
	f, at := w.figures, w.line.received
	r := w.reason(reasonKey{v.Action(), v.Reason()})
	r.n++
	if w.place.before(r.example) {
		r.example = w.place
		if w.trial.IDs {
			r.ids = &ids{strings.Clone(v.AnonymousID), strings.Clone(v.UserID), strings.Clone(v.MessageID)}
		}
	}
	if v.Refused || v.Skip == enrich.NotSkipped && v.Kind.Control() {
		return
	}
	s := f.event(v)
	if v.Key == "" || v.Skip == enrich.OtherType || v.Skip == enrich.OfJob {
		return
	}
	if v.Decision.At.Time != 0 {
		at = v.Decision.At.Time
	}
	if elsewhere[v.Decision.Because.Reason] {
		s.before, s.after = 0, 0
	}
	w.user(v, &s, at)
}

// elsewhere are the reasons of events whose session belongs to a device with another
// key: a server's event that follows a device, or whose application passed the
// device's session on. Such a session is counted with the device's events.
var elsewhere = map[session.Reason]bool{
	session.InDeviceSession: true, session.NoDeviceSession: true,
	session.OwnSession: true, session.OwnSessionUnmarked: true,
}

// user adds an event to the sessions that it is in on either side.
func (w *worker) user(v *enrich.Verdict, s *sides, at int64) {
	f := w.figures
	message := messageHash(v)
	w.trial.states.with(v.Key, true, func(of *state) {
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
