package session_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

var histories = flag.Int("histories", 1000, "how many random histories of a device are played")

// device makes messages, and sends them over a network in which requests may overtake
// each other. It knows the order in which it made them.
type device struct {
	rand *rand.Rand
	// now is the true time. The device's clock shows clock(now).
	now, ahead, drift int64
	last              int64 // the newest reading
	set               bool  // the clock was set during the history
	created           int
	calls             bool // to make calls as well
	deliveries        []delivery
}

// made is a message, with its position among all messages of the device.
type made struct {
	Event
	order int
	// own is the SDK's own session.
	own int64
}

// delivery is one arrival of a request.
type delivery struct {
	received int64
	body     []made
	retry    bool
}

func newDevice(seed uint64) *device {
	r := rand.New(rand.NewPCG(seed, 17))
	return &device{rand: r, now: t0, ahead: r.Int64N(4_000_000) - 2_000_000, drift: r.Int64N(400) - 200}
}

// clock is what the device's clock shows at a true time: it is off by a constant, and
// drifts by up to 200 ppm.
func (d *device) clock(at int64) int64 { return at + d.ahead + (at-t0)*d.drift/1_000_000 }

// read is a new reading, later than all before it unless the clock was set.
func (d *device) read() int64 {
	d.last = max(d.clock(d.now), d.last+1)
	return d.last
}

func (d *device) pick(values ...int64) int64 { return values[d.rand.IntN(len(values))] }

// make makes the next message.
func (d *device) make(e Event) made {
	d.now += d.pick(1, 1, 2, 20, 300, 5000, 600_000, 5_000_000)
	d.created++
	e.Message = MessageID(d.created)
	e.Times = Timestamps{Original: d.read(), HasOriginal: true}
	return made{Event: e, order: d.created}
}

// send schedules the arrival of messages: mostly soon, sometimes after up to stall
// milliseconds, sometimes more than once, with the first sentAt or a new one.
func (d *device) send(body []made, stall int64) {
	way := func() int64 {
		if d.rand.IntN(5) == 0 {
			return 1 + d.rand.Int64N(stall)
		}
		return 10 + d.rand.Int64N(300)
	}
	queued := d.pick(0, 1, 1, 1000, 10_000)
	sent := d.now + queued
	tries := 1 + d.rand.IntN(6)/4
	for try := range tries {
		copied := slices.Clone(body)
		for i := range copied {
			copied[i].Times.Sent, copied[i].Times.HasSent = d.clock(sent), true
		}
		d.deliveries = append(d.deliveries, delivery{sent + way(), copied, try > 0})
		again := sent + 1 + d.rand.Int64N(stall/2)
		if d.rand.IntN(2) == 0 {
			sent = again // another attempt with a new sentAt
			continue
		}
		for range d.rand.IntN(2) {
			d.deliveries = append(d.deliveries, delivery{again + d.rand.Int64N(stall/2), copied, true})
		}
	}
}

// arrive plays the deliveries in the order in which they arrive.
func (d *device) arrive(p *Policy, seen func(r *delivery, i int, got Decision)) *Session {
	slices.SortStableFunc(d.deliveries, func(a, b delivery) int { return int(a.received - b.received) })
	var s *Session
	var lags Lags
	for i := range d.deliveries {
		r := &d.deliveries[i]
		var body []Event
		for _, m := range r.body {
			body = append(body, m.Event)
		}
		decisions := make([]Decision, len(body))
		known := lags
		s, _ = Transition(s, &Request{Received: r.received, Policy: p, Lags: &known, Events: body}, decisions)
		for j := range body {
			if clock := body[j].Clock(); clock != NoClock {
				lags.Observe(clock, r.received-body[j].Times.Sent, r.received)
			}
			seen(r, j, decisions[j])
		}
	}
	return s
}

func (d *device) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "clock %+d ms, %+d ppm, set %v\n", d.ahead, d.drift, d.set)
	for _, r := range d.deliveries {
		fmt.Fprintf(&b, "r %s\n", instant(r.received))
		for _, m := range r.body {
			fmt.Fprintf(&b, "  made %d. %s o %d s %d own %d\n", m.order, [...]string{"event", "identify", "START", "END", "RESET"}[m.Kind],
				m.Times.Original-t0, m.Times.Sent-t0, m.own)
		}
	}
	return b.String()
}

// The messages of one device have the order in which it made them, however long its
// requests took: an event is in the session of the newest call before it, among those
// that have arrived. If the clock was set, or a request stalled for so long that clock
// error and latency cannot be distinguished, the order cannot be known: such events are
// counted.
func TestTheOrderOfADeviceIsTheDevices(t *testing.T) {
	for _, c := range []struct {
		name  string
		stall int64
		steps bool
		// allowed is the share of histories that may have an event in a wrong session.
		allowed float64
	}{
		{"no step, stalls of up to 100 s", 100_000, false, 0},
		{"no step, stalls of up to 10 min", 600_000, false, 0.7},
		{"the clock is set", 100_000, true, 0.25},
	} {
		t.Run(c.name, func(t *testing.T) {
			wrong := 0
			for seed := range *histories {
				d := newDevice(uint64(seed))
				if differs := d.playCalls(c.stall, c.steps); differs != "" {
					wrong++
					if c.allowed == 0 {
						t.Fatalf("history %d: %s\n%s", seed, differs, d)
					}
				}
			}
			t.Logf("%d of %d histories have an event elsewhere", wrong, *histories)
			if float64(wrong) > c.allowed*float64(*histories) {
				t.Errorf("%d of %d", wrong, *histories)
			}
		})
	}
}

// playCalls plays a history of calls and events, and describes the first event that is
// not in the session in which the device made it, "" if there is none.
func (d *device) playCalls(stall int64, steps bool) (differs string) {
	ends := 0
	calls := 0
	var body []made
	for range 5 + d.rand.IntN(25) {
		e := Event{}
		// An ended segment remembers two ends only.
		switch n := d.rand.IntN(6); {
		case n == 0 && calls < MaxSegments:
			calls++
			e.Kind, e.ID = Start, 1_000_000_000+int64(d.created)
		case n == 1 && calls < MaxSegments && ends < 2:
			calls++
			ends++
			e.Kind = End
		}
		if steps && !d.set && d.rand.IntN(10) == 0 {
			d.set, d.last = true, 0
			d.ahead += d.pick(-3_600_000, -5_000, -100, 100, 5_000, 3_600_000)
		}
		body = append(body, d.make(e))
		if d.rand.IntN(3) > 0 {
			d.send(body, stall)
			body = nil
		}
	}
	if body != nil {
		d.send(body, stall)
	}

	var arrived []made
	marks := map[int64]MessageID{}
	p := Policy{Timeout: 30 * minute}
	d.arrive(&p, func(r *delivery, i int, got Decision) {
		m := r.body[i]
		if m.Kind.Control() {
			arrived = append(arrived, m)
			return
		}
		newest := made{}
		for _, call := range arrived {
			if call.order < m.order && call.order > newest.order {
				newest = call
			}
		}
		want, session := Keep, newest.ID
		switch {
		case newest.Kind == Start:
			want = Stamp
		case newest.Kind == End:
			want = Clear
		}
		for id, owner := range marks {
			if owner == m.Message { // it keeps the mark, whatever came since
				want, session = Stamp, id
			}
		}
		if got.Start {
			marks[got.SessionID] = m.Message
		}
		if differs == "" && (got.Action != want || got.SessionID != session) {
			differs = fmt.Sprintf("message %d at %s is %s, not %v %d", m.order, instant(r.received), show(got), want, session)
		}
	})
	return differs
}

// With adopt, SDKs' own sessions are kept: each event keeps the id with which it was
// made, and each id has one start mark, in whatever order and however often events
// arrive, from however many tabs, and even if some never arrive.
func TestAdoptedSessionsAreTheSDKs(t *testing.T) {
	p := Policy{Automatic: AutomaticAdopt, Timeout: 30 * minute}
	for seed := range *histories {
		d := newDevice(uint64(seed))
		d.makeSDKEvents()
		marks := map[int64]MessageID{}
		first := map[int64]MessageID{}
		problem := ""
		s := d.arrive(&p, func(r *delivery, i int, got Decision) {
			m := r.body[i]
			switch {
			case problem != "":
			case m.own == 0 && (got.Action == Stamp || got.Start):
				problem = fmt.Sprintf("message %d has no session, and is %s", m.order, show(got))
			case m.own == 0 && m.HasStartKey && got.Action != Clear:
				problem = fmt.Sprintf("message %d has a mark and no session, and is %s", m.order, show(got))
			case m.own == 0:
			case got.Action != Stamp || got.SessionID != m.own:
				problem = fmt.Sprintf("message %d of session %d is %s", m.order, m.own, show(got))
			case first[m.own] == 0:
				if first[m.own] = m.Message; !got.Start {
					problem = fmt.Sprintf("message %d is the first of session %d, and has no mark", m.order, m.own)
				}
			}
			if got.Start {
				if owner, has := marks[m.own]; has && owner != m.Message {
					problem = fmt.Sprintf("messages %d and %d have the mark of session %d", owner, m.order, m.own)
				}
				marks[m.own] = m.Message
			} else if marks[m.own] == m.Message && m.own != 0 {
				problem = fmt.Sprintf("message %d has lost its mark", m.order)
			}
		})
		if problem != "" {
			t.Fatalf("history %d: %s\n%+v\n%s", seed, problem, s, d)
		}
		for id := range first {
			if marks[id] == 0 {
				t.Fatalf("history %d: session %d has no mark", seed, id)
			}
		}
	}
}

// With calls at the proxy among the events, every session has one start mark, on the
// first of its events to arrive.
func TestSessionsHaveOneMark(t *testing.T) {
	for name, automatic := range map[string]AutomaticPolicy{"sdk": AutomaticSDK, "adopt": AutomaticAdopt, "proxy": AutomaticProxy, "off": AutomaticOff} {
		t.Run(name, func(t *testing.T) {
			p := Policy{Automatic: automatic, Timeout: 30 * minute}
			for seed := range *histories {
				d := newDevice(uint64(seed))
				d.calls = true
				d.makeSDKEvents()
				marks := map[int64]MessageID{}
				problem := ""
				s := d.arrive(&p, func(r *delivery, i int, got Decision) {
					m := r.body[i]
					owner, has := marks[got.SessionID]
					switch {
					case problem != "" || got.Action != Stamp:
					case !has && !got.Start:
						problem = fmt.Sprintf("message %d is the first of session %d, and has no mark", m.order, got.SessionID)
					case !has:
						marks[got.SessionID] = m.Message
					case got.Start != (owner == m.Message):
						problem = fmt.Sprintf("message %d is %s, and message %d has the mark", m.order, show(got), owner)
					}
				})
				// A truncated timeline has forgotten who had the mark.
				if problem != "" && !s.Truncated {
					t.Fatalf("history %d: %s\n%+v\n%s", seed, problem, s, d)
				}
			}
		})
	}
}

// makeSDKEvents makes events of one or two tabs whose SDK begins and ends its own
// sessions. Some events are lost with their page.
func (d *device) makeSDKEvents() {
	tabs := make([]struct {
		id    int64
		start bool
	}, 1+d.rand.IntN(2))
	ids, calls := 0, 0
	var body []made
	for range 5 + d.rand.IntN(40) {
		tab := &tabs[d.rand.IntN(len(tabs))]
		switch d.rand.IntN(8) {
		case 0: // startSession, or an automatic session of the SDK
			if ids < MaxSegments {
				ids++
				tab.id, tab.start = 1_700_000_000+int64(ids), true
			}
		case 1:
			tab.id, tab.start = 0, false
		case 2: // the other tab reads the same storage
			for i := range tabs {
				tabs[i].id = tab.id
			}
		case 3:
			d.set, d.last = true, 0
			d.ahead += d.pick(-3_600_000, -500, 500, 3_600_000)
		}
		if d.calls && calls < MaxSegments/2 && d.rand.IntN(6) == 0 {
			calls++
			call := Event{Kind: Start, ID: 1_600_000_000 + int64(calls)}
			if d.rand.IntN(2) == 0 {
				call = Event{Kind: End}
			}
			body = append(body, d.make(call))
		}
		e := Event{User: UserID(d.rand.IntN(3)), LoggedOut: d.rand.IntN(10) == 0}
		if d.rand.IntN(6) == 0 {
			e.Kind = Identify
		}
		e.ID, e.HasSessionID, e.HasIDKey = tab.id, tab.id != 0, tab.id != 0
		e.HasSessionStart, e.HasStartKey = tab.start, tab.start
		tab.start = false
		m := d.make(e)
		m.own = tab.id
		if d.rand.IntN(10) == 0 {
			continue // the page was closed before the event was sent
		}
		body = append(body, m)
		if d.rand.IntN(3) > 0 {
			d.send(body, 1_000_000)
			body = nil
		}
	}
	if body != nil {
		d.send(body, 1_000_000)
	}
	d.rand.Shuffle(len(d.deliveries), func(i, j int) {
		if d.rand.IntN(4) == 0 { // some arrive in random order
			d.deliveries[i].received, d.deliveries[j].received = d.deliveries[j].received, d.deliveries[i].received
		}
	})
}
