package caddymodule

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

const namespace, subsystem = "caddy", "rudder_session"

// metrics live as long as the process: Caddy makes a new registry for each
// configuration, and new counters with it would start from 0 at each reload.
var metrics = newCollectors()

type collectors struct {
	all []prometheus.Collector

	events                  *prometheus.CounterVec
	requests                cached[prometheus.Counter] // by endpoint and outcome
	controls                *prometheus.CounterVec
	started, ended          cached[prometheus.Counter] // by cause
	given, repeated         prometheus.Counter
	released, removed       prometheus.Counter
	invalidIDs, storeErrors prometheus.Counter
	bodies, decisions       cached[prometheus.Observer] // by endpoint
	stores                  *prometheus.HistogramVec
}

func newCollectors() *collectors {
	m := &collectors{}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return collect(m, prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: name, Help: help,
		}, labels))
	}
	counter := func(name, help string) prometheus.Counter {
		return collect(m, prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: name, Help: help,
		}))
	}
	histograms := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return collect(m, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets,
		}, labels))
	}

	m.events = counters("events_total",
		"Messages of event requests, by decision and reason; source is the name of a configured source.",
		"endpoint", "source", "outcome", "reason")
	requests := counters("requests_total",
		"Requests to the endpoints of events and control calls, by outcome and, if they were forwarded unread, by reason.",
		"endpoint", "outcome", "reason")
	m.requests = newCached(endpoints*int(requestOutcomes), func(i int) prometheus.Counter {
		o := requestOutcome(i % int(requestOutcomes))
		return requests.WithLabelValues(endpointName(i/int(requestOutcomes)), o.word(), o.reason())
	})
	m.controls = counters("control_calls_total",
		"Control calls by kind and result, in all forms.",
		"call", "result")
	started := counters("sessions_started_total", "Sessions started, by what started them.", "by")
	m.started = newCached(int(enrich.Causes), func(i int) prometheus.Counter {
		return started.WithLabelValues(enrich.Cause(i).String())
	})
	ended := counters("sessions_ended_total",
		"Sessions ended, by what ended them or first showed that they were over.", "by")
	m.ended = newCached(int(enrich.Causes), func(i int) prometheus.Counter {
		return ended.WithLabelValues(enrich.Cause(i).String())
	})
	marks := counters("start_marks_total",
		"Start marks: given to an event, repeated on a retry of that event, released because the data plane refused the event, or removed from an event whose SDK had set one.",
		"state")
	m.given, m.repeated = marks.WithLabelValues("given"), marks.WithLabelValues("repeated")
	m.released, m.removed = marks.WithLabelValues("released"), marks.WithLabelValues("removed")
	m.invalidIDs = counter("invalid_session_ids_total",
		"Invalid session ids: of startSession calls in events, which got a generated id, and, with automatic adopt, of events, which lost the id.")
	m.storeErrors = counter("store_errors_total", "Sessions that could not be read or written.")

	bodies := histograms("body_size_bytes", "Decoded size of bodies that were read.",
		prometheus.ExponentialBuckets(256, 4, 8), "endpoint")
	m.bodies = newCached(endpoints, func(i int) prometheus.Observer {
		return bodies.WithLabelValues(endpointName(i))
	})
	decisions := histograms("decision_duration_seconds",
		"Time to decide about a request and to change its body. It includes waiting for the store, but neither reading the body nor the data plane.",
		[]float64{5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, .1, .25, 1, 2.5},
		"endpoint")
	m.decisions = newCached(endpoints, func(i int) prometheus.Observer {
		return decisions.WithLabelValues(endpointName(i))
	})
	m.stores = histograms("store_operation_duration_seconds",
		"Duration of store calls, by result: ok, conflict (another change came first) or error. Changes that are written together are one call.",
		[]float64{1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, .1, .25, .5, 1, 2.5, 5},
		"table", "operation", "result")
	collect(m, prometheus.Collector(tableCollector{}))
	return m
}

func collect[C prometheus.Collector](m *collectors, c C) C {
	m.all = append(m.all, c)
	return c
}

func registerMetrics(registry *prometheus.Registry) error {
	for _, c := range metrics.all {
		var registered prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &registered) {
			return err
		}
	}
	return nil
}

// cached holds metrics by a number that stands for a combination of labels, because
// looking a metric up by its labels takes longer than counting. A metric is created
// when it is first used.
type cached[M any] struct {
	slots  []atomic.Pointer[M]
	create func(int) M
}

func newCached[M any](n int, create func(int) M) cached[M] {
	return cached[M]{make([]atomic.Pointer[M], n), create}
}

func (c *cached[M]) get(i int) M {
	if m := c.slots[i].Load(); m != nil {
		return *m
	}
	m := c.create(i)
	c.slots[i].Store(&m)
	return m
}

// endpoints is how many there are: those of package enrich and, last, the one that
// returns the current session.
const endpoints = int(enrich.Endpoints) + 1

func endpointName(i int) string {
	if i == int(enrich.Endpoints) {
		return "session"
	}
	return enrich.Endpoint(i).String()
}

func (t target) number() int {
	if t.current {
		return int(enrich.Endpoints)
	}
	return int(t.endpoint)
}

// eventMeter counts the events of one source.
type eventMeter struct{ cached[prometheus.Counter] }

// The numbers of an eventMeter: for each endpoint those of the decisions' reasons,
// then the skip reasons, then the control calls.
const (
	firstSkip     = int(session.Reasons)
	firstControl  = firstSkip + int(enrich.SkipReasons)
	eventOutcomes = firstControl + int(enrich.Causes)
)

func newEventMeter(source string) *eventMeter {
	return &eventMeter{newCached(endpoints*eventOutcomes, func(i int) prometheus.Counter {
		outcome := "untouched"
		var reason string
		switch n := i % eventOutcomes; {
		case n >= firstControl:
			outcome, reason = "consumed", enrich.Cause(n-firstControl).String()
		case n >= firstSkip:
			reason = enrich.SkipReason(n - firstSkip).String()
		default:
			r := session.Reason(n)
			reason = r.String()
			if r.Changes() {
				outcome = r.Action().String()
			}
		}
		return metrics.events.WithLabelValues(endpointName(i/eventOutcomes), source, outcome, reason)
	})}
}

// count counts the decisions about the messages of a request. The events of a failed
// request do not count, because the client sends them again.
func (m *eventMeter) count(e enrich.Endpoint, o *enrich.Outcome, failed bool) {
	add := func(number, n int) {
		if n > 0 {
			m.get(int(e)*eventOutcomes + number).Add(float64(n))
		}
	}
	metrics.storeErrors.Add(float64(o.StoreErrors))
	if failed {
		countControl("startSession", "unavailable", o.Starts)
		countControl("endSession", "unavailable", o.Ends)
		countControl("resetSession", "unavailable", o.Resets)
		return
	}
	for reason, n := range o.Events {
		add(reason, n)
	}
	for skip, n := range o.Skipped {
		add(firstSkip+skip, n)
	}
	add(firstControl+int(enrich.ByStart), o.Starts)
	add(firstControl+int(enrich.ByEnd), o.Ends)
	add(firstControl+int(enrich.ByReset), o.Resets)
	countSessions(o)
}

// countSessions counts starts and ends of sessions, control calls and start marks.
func countSessions(o *enrich.Outcome) {
	for cause := range o.Began {
		if n := o.Began[cause]; n > 0 {
			metrics.started.get(cause).Add(float64(n))
		}
		if n := o.Ended[cause]; n > 0 {
			metrics.ended.get(cause).Add(float64(n))
		}
	}
	if o.Consumed() > 0 {
		for cause, results := range o.Controls {
			for reason, n := range results {
				countControl(enrich.Cause(cause).String(), session.Reason(reason).String(), int(n))
			}
		}
	}
	if o.InvalidIDs > 0 {
		metrics.invalidIDs.Add(float64(o.InvalidIDs))
	}
	if o.MarksRemoved > 0 {
		metrics.removed.Add(float64(o.MarksRemoved))
	}
	if o.Marked > 0 {
		metrics.given.Add(float64(o.Marked - o.MarkedAgain))
		metrics.repeated.Add(float64(o.MarkedAgain))
	}
}

func countControl(call, result string, n int) {
	if n > 0 {
		metrics.controls.WithLabelValues(call, result).Add(float64(n))
	}
}

// measure records the size of a body and the duration of the decision.
func measure(t target, body int, since time.Time) {
	metrics.bodies.get(t.number()).Observe(float64(body))
	metrics.decisions.get(t.number()).Observe(time.Since(since).Seconds())
}
