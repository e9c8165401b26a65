package replay

import (
	"cmp"
	"slices"
	"time"

	"github.com/rudder-session/rudder-session/enrich"
)

// Report is the result of a replay: as JSON for other programs, as text for people.
type Report struct {
	Input    InputReport    `json:"input"`
	Policies []PolicyReport `json:"policies"`
}

// InputReport is about the lines of the input.
type InputReport struct {
	Files    []string `json:"files"`
	Bytes    int64    `json:"bytes"` // decompressed
	Lines    int64    `json:"lines"`
	Blank    int64    `json:"blank"`
	Events   int64    `json:"event_lines"`
	Batches  int64    `json:"batch_lines"`
	Requests int64    `json:"request_lines"`
	NotJSON  OddLines `json:"not_json"`
	NotEvent OddLines `json:"no_event"`
	TooLong  OddLines `json:"too_long"`
	// First and Last are the earliest and the latest receivedAt.
	First time.Time `json:"first_received,omitzero"`
	Last  time.Time `json:"last_received,omitzero"`
}

// OddLines are lines without events, which were passed on unread.
type OddLines struct {
	Lines int64   `json:"lines"`
	First []Place `json:"first,omitempty"`
}

// Place is a line of a file.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// PolicyReport is what one policy does.
type PolicyReport struct {
	Name string `json:"name"`
	// Events is the number of events, Users the number of their session keys.
	Events int64 `json:"events"`
	Users  int64 `json:"users"`
	// Stamped, Cleared and Untouched divide the events by what is done to them.
	Stamped   int64 `json:"stamped"`
	Cleared   int64 `json:"cleared"`
	Untouched int64 `json:"untouched"`
	// Controls are control calls that were carried out, RefusedControls requests to
	// control endpoints that were not.
	Controls        int64 `json:"controls"`
	RefusedControls int64 `json:"refused_controls"`
	// Passed are lines whose requests or events the handler forwards unread.
	Passed int64 `json:"passed_lines"`
	// Began and Ended count sessions of the proxy by what began and ended them.
	Began map[string]int64 `json:"began"`
	Ended map[string]int64 `json:"ended"`
	// Changed events go on with another session id than they came with, Gained ones
	// came without one, and Lost ones go on without one.
	Changed int64 `json:"changed"`
	Gained  int64 `json:"gained"`
	Lost    int64 `json:"lost"`
	// MarksAdded and MarksRemoved are events that get and lose a start mark.
	MarksAdded   int64 `json:"marks_added"`
	MarksRemoved int64 `json:"marks_removed"`
	// Split are sessions of Before whose events are in several sessions of After;
	// Merged are sessions of After with events of several sessions of Before.
	Split  int64 `json:"split"`
	Merged int64 `json:"merged"`
	// Before and After are the sessions of the events as they came, and as they go on.
	Before SessionReport `json:"before"`
	After  SessionReport `json:"after"`
	// Reasons are all reasons of decisions, the most frequent first.
	Reasons []ReasonReport `json:"reasons"`
}

// SessionReport is about the sessions on one side. A session is all events of one user
// with one session id.
type SessionReport struct {
	Sessions int64 `json:"sessions"`
	// WithoutStart have no event with a start mark, WithStarts several.
	WithoutStart int64 `json:"without_start"`
	WithStarts   int64 `json:"with_several_starts"`
	// Events and Seconds are the sums of events and lengths.
	Events  int64   `json:"events"`
	Seconds float64 `json:"seconds"`
	// ByLength and ByEvents count sessions by length and by number of events.
	ByLength []Class `json:"by_length"`
	ByEvents []Class `json:"by_events"`
}

// Class is a class of a distribution: the values above the Most of the previous class,
// up to its own. Most is in seconds, or events; the last class has none.
type Class struct {
	Most     *float64 `json:"most,omitempty"`
	Sessions int64    `json:"sessions"`
}

// ReasonReport counts the messages with one action and one reason.
type ReasonReport struct {
	// Action is stamped, cleared, untouched or consumed; Reason is a reason as in the
	// metrics.
	Action  string `json:"action"`
	Reason  string `json:"reason"`
	Events  int64  `json:"events"`
	Example Place  `json:"example"`
	// IDs are those of the example, if they were asked for.
	IDs *ExampleIDs `json:"ids,omitempty"`
}

// ExampleIDs are the ids of an event.
type ExampleIDs struct {
	AnonymousID string `json:"anonymous_id,omitempty"`
	UserID      string `json:"user_id,omitempty"`
	MessageID   string `json:"message_id,omitempty"`
}

func (r *replay) report() *Report {
	l := &r.lines
	report := &Report{Input: InputReport{
		Bytes: r.input.decompressed.Load(), Lines: l.lines, Blank: l.blank,
		Events: l.events, Batches: l.batches, Requests: l.requests,
		NotJSON: r.odd(&l.notJSON), NotEvent: r.odd(&l.notEvent), TooLong: r.odd(&l.tooLong),
	}}
	for i := range r.input.files {
		report.Input.Files = append(report.Input.Files, r.input.name(i))
	}
	if l.first != 0 {
		report.Input.First, report.Input.Last = time.UnixMilli(l.first).UTC(), time.UnixMilli(l.last).UTC()
	}
	for i, t := range r.trials {
		report.Policies = append(report.Policies, r.policy(r.Policies[i].Name, t.total()))
	}
	return report
}

func (r *replay) place(p place) Place { return Place{r.input.name(p.file), p.line} }

func (r *replay) odd(o *oddLines) OddLines {
	odd := OddLines{Lines: o.n}
	for _, p := range o.first {
		odd.First = append(odd.First, r.place(p))
	}
	return odd
}

func (r *replay) policy(name string, f *figures) PolicyReport {
	o := &f.outcome
	p := PolicyReport{
		Name:   name,
		Events: int64(o.Stamped + o.Cleared + o.Untouched), Users: f.users,
		Stamped: int64(o.Stamped), Cleared: int64(o.Cleared), Untouched: int64(o.Untouched),
		Controls: int64(o.Consumed()), RefusedControls: f.failedControls, Passed: f.passed,
		Began: map[string]int64{}, Ended: map[string]int64{},
		Changed: f.changed, Gained: f.gained, Lost: f.lost,
		MarksAdded: f.marksAdded, MarksRemoved: f.marksRemoved,
		Split: f.before.divided, Merged: f.after.divided,
		Before: sessionReport(&f.before), After: sessionReport(&f.after),
	}
	for cause := range enrich.Causes {
		if n := o.Began[cause]; n > 0 {
			p.Began[cause.String()] = int64(n)
		}
		if n := o.Ended[cause]; n > 0 {
			p.Ended[cause.String()] = int64(n)
		}
	}
	for key, reason := range f.reasons {
		report := ReasonReport{Action: key.action, Reason: key.reason, Events: reason.n, Example: r.place(reason.example)}
		if reason.ids != nil {
			report.IDs = &ExampleIDs{reason.ids.anonymousID, reason.ids.userID, reason.ids.messageID}
		}
		p.Reasons = append(p.Reasons, report)
	}
	slices.SortFunc(p.Reasons, func(a, b ReasonReport) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Reason, b.Reason))
	})
	return p
}

func sessionReport(f *sessionFigures) SessionReport {
	return SessionReport{
		Sessions: f.sessions, WithoutStart: f.unmarked, WithStarts: f.severalMarks,
		Events: f.events, Seconds: float64(f.length) / 1000,
		ByLength: classes(lengths, f.byLength, 1000), ByEvents: classes(counts, f.byCount, 1),
	}
}

func classes(bounds, sessions []int64, unit float64) (all []Class) {
	for i, n := range sessions {
		c := Class{Sessions: n}
		if i < len(bounds)-1 {
			most := float64(bounds[i]) / unit
			c.Most = &most
		}
		all = append(all, c)
	}
	return all
}
