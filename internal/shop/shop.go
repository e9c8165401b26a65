// Package shop generates the events of an imaginary shop in one month, as
// RudderStack's object-storage destinations write them, and scores how well the
// session ids in such lines match what people really did.
//
// People visit the shop with browsers and apps, with the SDKs' automatic session
// tracking, over networks and with clocks as real ones are; its backend reports
// orders. See the constants in population.go for who they are, and [Kind] for the
// SDKs. Nothing depends on the wall clock: the same [Options] give the same bytes.
//
// The truth is part of each message's id ([MessageID]), which the proxy and
// retries keep: a visit is what one person does on one device with pauses of at
// most 30 minutes, by true time. A logout, and a login while somebody else is
// logged in, begin a new visit, as RudderStack's documentation says of reset().
//
//	go run ./internal/shop/cmd -users 200000 -events 5000000 -o month.jsonl.gz
//	go run ./internal/shop/cmd score month.jsonl.gz
package shop

import (
	"bufio"
	"io"
	"math/rand/v2"
)

// Options say what to generate.
type Options struct {
	// Users is how many people visit the shop.
	Users int
	// Events is how many events they and the backend make, within a few percent. There
	// are slightly more lines, because some events are delivered again.
	Events int
	// Seed is the seed of all random numbers.
	Seed uint64
}

// Generate writes one event a line, in the order of receivedAt, and returns the number
// of lines. Memory grows with the number of users and of undelivered events, not with
// the number of all events.
func Generate(w io.Writer, o Options) (lines int64, err error) {
	if o.Users <= 0 || o.Events <= 0 {
		return 0, nil
	}
	g := newGenerator(w, o, activity(o))
	err = g.run()
	return g.lines, err
}

// generator simulates the visits of all devices in the order in which they begin.
// Deliveries wait in pending until no later visit can send anything earlier.
type generator struct {
	out     *bufio.Writer
	line    []byte
	lines   int64
	events  int64 // made, whether they arrive or not
	agenda  timeHeap[*device]
	pending timeHeap[delivery]
}

// delivery is one arrival of an event at the data plane.
type delivery struct {
	event    *event
	received int64
	sent     int64 // by the sender's clock
}

// newGenerator makes a generator in which a device of average activity visits the shop
// every gap milliseconds.
func newGenerator(w io.Writer, o Options, gap float64) *generator {
	g := &generator{out: bufio.NewWriterSize(w, 1<<18)}
	for user := 0; user < o.Users; {
		home := newHousehold(o, user)
		for _, d := range home.devices {
			d.gap *= gap
			d.next = d.firstVisit(rand.New(&d.random))
			g.schedule(d)
		}
		user += home.people
	}
	return g
}

// schedule plans a device's next visit, unless the month is over by then.
func (g *generator) schedule(d *device) {
	if d.next < End {
		g.agenda.push(d.next, d)
	}
}

func (g *generator) run() error {
	for {
		begins, more := g.agenda.first()
		for {
			at, waiting := g.pending.first()
			if !waiting || more && at >= begins {
				break
			}
			if err := g.emit(g.pending.pop()); err != nil {
				return err
			}
		}
		if !more {
			return g.out.Flush()
		}
		d := g.agenda.pop()
		g.visit(d)
		g.schedule(d)
	}
}

func (g *generator) emit(d delivery) error {
	g.line = appendLine(g.line[:0], &d)
	g.lines++
	_, err := g.out.Write(g.line)
	return err
}

// visit simulates a visit with a device, and schedules the next one.
func (g *generator) visit(d *device) {
	v := &visit{device: d, Rand: rand.New(&d.random), generator: g, t: d.next, begun: d.next}
	v.person = d.home.first + d.owner
	if d.shared {
		v.person = d.home.first + v.IntN(d.home.people)
	}
	if d.kind.app() {
		v.useApp()
		v.sendBatches()
	} else {
		v.browse()
		v.sendRequests()
	}
	d.next = d.nextVisit(v.Rand, v.t)
}

// deliver records one arrival of an event.
func (g *generator) deliver(e *event, received, sent int64) {
	g.pending.push(received, delivery{event: e, received: received, sent: sent})
}

// pilotUsers is the number of users in activity's trials.
const pilotUsers = 3000

// activity finds the mean gap between visits that gives the wanted number of events, by
// trials with the first users.
func activity(o Options) (gap float64) {
	pilot := o
	pilot.Users = min(o.Users, pilotUsers)
	wanted := float64(o.Events) * float64(pilot.Users) / float64(o.Users)
	gap = 10 * day
	for range 5 {
		g := newGenerator(io.Discard, pilot, gap)
		for len(g.agenda.items) > 0 {
			d := g.agenda.pop()
			g.visit(d)
			g.schedule(d)
			g.pending = timeHeap[delivery]{}
		}
		gap *= float64(g.events) / wanted
	}
	return gap
}
