package replay

import (
	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
)

// trial is the replay of one policy: its sessions and its figures.
type trial struct {
	*Options
	site    caddymodule.Site
	table   *sessionstate.Table
	states  *states
	workers []*worker
	// shared and follows are the options share_sessions and follow_user.
	shared, follows bool
}

func newTrial(o *Options, index int, file *spillFile, workers int) *trial {
	t := &trial{Options: o, site: o.Policies[index].Site, states: newStates(file, byte(index), o.Capacity)}
	t.table = sessionstate.NewTable(&sessions{t.states}, sessionstate.Options{Reproducible: true})
	sample := t.site.Request(0, enrich.Batch, "")
	t.shared, t.follows = sample.Share, sample.Follow
	for range workers {
		t.workers = append(t.workers, newWorker(t))
	}
	return t
}

// job is what a trial has to do with one line.
type job struct {
	serial   uint64
	endpoint enrich.Endpoint
	writeKey string
	// request and parsed are set for lines with several messages, and for requests to
	// a control endpoint. They are parsed before they are scheduled, to find their
	// lanes.
	request *enrich.Request
	parsed  *enrich.Parsed
	// lanes has a bit for each lane of the table that the line's keys are in.
	lanes uint64
	// read: the handler would read the line. passed: the line is a request or an event
	// that the handler would forward unread. refused: it is a request to a control
	// endpoint that the handler would refuse unread.
	read, passed, refused bool
	// messages is the number of messages, set when the line has been decided.
	messages int
}

// output is the output for a line.
type output struct {
	omitted bool
	pieces  [][]byte // nil: the line as it came
}

// read returns the job of a line. serial must be different for each line.
func (t *trial) read(l *line, serial uint64) (j job) {
	var known bool
	j.serial = serial
	j.endpoint, j.writeKey, known = t.endpoint(l)
	switch {
	case !known:
		j.passed = l.form >= event
		return j
	case j.endpoint.Control():
		j.refused = j.writeKey == "" || !t.site.Listed(j.writeKey)
	default:
		j.passed = !t.site.Listed(j.writeKey) || l.ofJob || l.form == request && j.writeKey == ""
	}
	if j.passed || j.refused {
		return j
	}
	if j.read = true; l.form == event {
		var key [128]byte
		of := enrich.Request{WriteKey: j.writeKey, Share: t.shared}
		j.addLane(t, string(of.MessageKey(key[:0], l.anonymousID, l.userID, l.channel)))
		return j
	}
	j.request = new(enrich.Request)
	t.fill(j.request, l, &j)
	if j.refused = j.endpoint.Control() && len(l.body) > j.request.MaxBody; j.refused {
		return j
	}
	j.parsed = enrich.Parse(j.request, l.body)
	j.parsed.EachKey(func(key string) { j.addLane(t, key) })
	return j
}

func (j *job) addLane(t *trial, key string) {
	switch {
	case key == "": // the message has no ids
	case t.follows:
		j.lanes = ^uint64(0) // a user's event follows a device that is not known yet
	default:
		j.lanes |= 1 << sessionstate.Lane(key)
	}
}

// fill sets r to the request that the handler would make of a line.
func (t *trial) fill(r *enrich.Request, l *line, j *job) {
	*r = *t.site.Request(l.received, j.endpoint, j.writeKey)
	r.Serial, r.Stored, r.KeepControls, r.Borrowed = j.serial, l.form == event, !t.OmitControls, true
}

// endpoint returns the endpoint and the write key of a line, "" for none; known: the
// endpoint is one of the handler's.
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

// total adds up the figures of all workers, and counts the sessions that are still
// open.
func (t *trial) total() *figures {
	sum := newFigures()
	for _, w := range t.workers {
		sum.add(w.figures)
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
