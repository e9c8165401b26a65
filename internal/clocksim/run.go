// Package clocksim simulates devices, their clocks and their networks, lets the proxy's
// code decide about the requests that arrive, and counts how many sessions have an event
// that it takes for another session's.
//
// The proxy itself is not modelled: requests go through [sessionstate.Table], one for each
// of two proxies over one store, with clocks 5 ms apart. What is modelled is everything
// before it: what people do, when SDKs send it, what their clocks show, and how long
// requests take.
//
//	go run ./internal/clocksim/cmd -sessions 100000
package clocksim

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Result counts the results of a simulation.
type Result struct {
	// Sessions is the number of sessions, Events the number of events that arrived, and
	// Repeats the number of deliveries of an event that had arrived before.
	Sessions, Events, Repeats int
	Table                     Count
	// EventTime is the result for the same requests if messages are ordered by event time
	// alone: received - (sentAt - originalTimestamp).
	EventTime Count
	// Floor is how many sessions have an event that was answered before the call that
	// began its session arrived: no proxy can do better. It is 0 for automatic sessions.
	Floor int
}

// Count counts wrong decisions.
type Count struct {
	// Wrong is how many sessions have an event that was put into another one. For
	// automatic sessions it is how many too many were begun.
	Wrong int
	// Unstable is how many deliveries were answered differently from the first delivery of
	// the same event.
	Unstable int
}

const timeout = 30 * 60 * 1000

// Run simulates devices until they have had a number of sessions. The same seed gives the
// same result.
func Run(s *Scenario, sessions int, seed uint64) (Result, error) {
	var result Result
	policy := &session.Policy{Timeout: timeout}
	if s.automatic {
		policy.Automatic = session.AutomaticProxy
	}
	rules, eventTime := newSide(policy, false), newSide(policy, true)
	defer rules.close()
	defer eventTime.close()
	for i := 0; result.Sessions < sessions; i++ {
		deliveries := s.deliveries(rand.New(rand.NewPCG(seed, uint64(i))))
		truth := newTruth(s, deliveries)
		key := strconv.Itoa(i)
		for _, side := range []*side{rules, eventTime} {
			answers, err := side.play(key, s, deliveries)
			if err != nil {
				return result, err
			}
			side.count.add(truth.count(answers))
		}
		result.Sessions += truth.sessions
		result.Events += truth.events
		result.Repeats += truth.repeats
		result.Floor += truth.floor
	}
	result.Table, result.EventTime = rules.count, eventTime.count
	return result, nil
}

func (c *Count) add(more Count) {
	c.Wrong += more.Wrong
	c.Unstable += more.Unstable
}

// side is two proxies that share a store.
type side struct {
	policy *session.Policy
	tables [proxies]*sessionstate.Table
	// byEventTime: messages have their event time, and no sentAt.
	byEventTime bool
	count       Count

	scratch   sessionstate.Scratch
	request   session.Request
	events    []session.Event
	decisions []session.Decision
	answers   []int64
}

func newSide(policy *session.Policy, byEventTime bool) *side {
	s := &side{policy: policy, byEventTime: byEventTime}
	store := memorystore.New()
	for i := range s.tables {
		// Devices are played one after the other, so that a small capacity is enough.
		s.tables[i] = sessionstate.NewTable(store, sessionstate.Options{Settings: sessionstate.Settings{Capacity: 1000}})
	}
	return s
}

func (s *side) close() {
	for _, t := range s.tables {
		_ = t.Close()
	}
}

// play sends the requests of one device, and returns the session id that each delivery of
// a message got, in order; 0 for none.
func (s *side) play(key string, scenario *Scenario, deliveries []delivery) ([]int64, error) {
	s.answers = s.answers[:0]
	for i := range deliveries {
		d := &deliveries[i]
		s.events = s.events[:0]
		for j := range d.messages {
			s.events = append(s.events, s.event(scenario, d, &d.messages[j]))
		}
		s.decisions = append(s.decisions[:0], make([]session.Decision, len(s.events))...)
		s.request = session.Request{Received: d.received, Policy: s.policy, Events: s.events}
		if !s.tables[d.proxy].ApplyNow(&s.scratch, key, &s.request, s.decisions) {
			return nil, fmt.Errorf("%s: a request was not decided about at once", scenario.Name)
		}
		for j := range s.decisions {
			s.answers = append(s.answers, s.decisions[j].SessionID)
		}
	}
	return s.answers, nil
}

// event is a message as the proxy reads it.
func (s *side) event(scenario *Scenario, d *delivery, m *message) session.Event {
	e := session.Event{Message: session.MessageID(m.number), Mobile: scenario.app}
	if m.read != 0 {
		e.Times = session.Timestamps{Original: m.read, Sent: d.sent, HasOriginal: true, HasSent: true}
		if s.byEventTime {
			e.Times = session.Timestamps{Original: m.read + d.received - d.sent, HasOriginal: true}
		}
	}
	if m.control && !scenario.automatic {
		e.Kind, e.ID = session.Start, id(m.session)
	}
	return e
}

// id is the id of a device's session, which its call chooses; 0 for none.
func id(number int) int64 {
	if number == 0 {
		return 0
	}
	return session.MinID + int64(number)
}
