package replay

import (
	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
)

// trial is one policy that is tried: its sessions, and what is counted of them.
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
	any := t.site.Request(0, enrich.Batch, "")
	t.shared, t.follows = any.Share, any.Follow
	for range workers {
		t.workers = append(t.workers, newWorker(t))
	}
	return t
}

// job is what a trial has to do about one line.
type job struct {
	serial   uint64
	endpoint enrich.Endpoint
	writeKey string
	// request and parsed are of a line with several messages, or to a control
	// endpoint: they are read before their turn comes, to know whose they are.
	request *enrich.Request
	parsed  *enrich.Parsed
	// lanes has a bit for each lane of the table that the line is about.
	lanes uint64
	// read: the handler reads such a line. passed: it is a request, or an event, that
	// is passed on unread. refused: it is a request to a control endpoint that is
	// refused unread.
	read, passed, refused bool
	// messages is how many it had.
	messages int
}

// output is what becomes of a line.
type output struct {
	omitted bool
	pieces  [][]byte // nil: the line as it came
}

// read finds out what is to be done about a line. serial differs for each.
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
	case key == "": // nobody's
	case t.follows:
		j.lanes = ^uint64(0) // which device a user's event follows is not known yet
	default:
		j.lanes |= 1 << sessionstate.Lane(key)
	}
}

// fill makes the request that a line is.
func (t *trial) fill(r *enrich.Request, l *line, j *job) {
	*r = *t.site.Request(l.received, j.endpoint, j.writeKey)
	r.Serial, r.Stored, r.KeepControls, r.Borrowed = j.serial, l.form == event, !t.OmitControls, true
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

// total adds all up, with the sessions that are not counted yet.
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
