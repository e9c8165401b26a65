package caddymodule

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// tableCollector collects the metrics of all open tables, whichever configuration
// uses them.
type tableCollector struct{}

var (
	descSessions = describe("sessions",
		"Users whose session is in memory, including those known to have none.")
	descCapacity  = describe("capacity", "How many users' sessions fit into memory.")
	descHits      = describe("cache_hits_total", "Sessions looked up and found in memory.")
	descMisses    = describe("cache_misses_total", "Sessions looked up and not found in memory.")
	descEvictions = describe("cache_evictions_total", "Sessions that were evicted from memory.")
	descDelayed   = describe("delayed_writes", "Changed sessions that are waiting to be written to the store.")
	descDown      = describe("store_down",
		"Share of the store that does not answer, and is not asked until it does: 0 to 1.")
	descClock = describe("store_clock_ahead_seconds",
		"How far this machine's clock is ahead of the shared store's clock, negative if it is behind. The handler corrects for it.")
	descClockWithin = describe("store_clock_within_seconds",
		"Uncertainty of store_clock_ahead_seconds: half of the round trip of the measurement.")
	descNewer = describe("newer_sessions_total",
		"How often a session could not be read because a newer version of the module had written it.")
	descDetached = describe("store_detached",
		"1 if the store's file was deleted, moved or replaced while it was open, else 0.")
)

// tableDescs are all of them: Prometheus refuses to collect what was not described.
var tableDescs []*prometheus.Desc

func describe(name, help string) *prometheus.Desc {
	d := prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, []string{"table"}, nil)
	tableDescs = append(tableDescs, d)
	return d
}

// Describe implements prometheus.Collector.
func (tableCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range tableDescs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (tableCollector) Collect(to chan<- prometheus.Metric) {
	stats := map[string]sessionstate.Stats{}
	EachTable(func(name string, s sessionstate.Stats) { stats[name] = sum(stats[name], s) })
	for name, s := range stats {
		gauge := func(d *prometheus.Desc, v float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, name)
		}
		counter := func(d *prometheus.Desc, v uint64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), name)
		}
		gauge(descSessions, float64(s.Sessions))
		gauge(descCapacity, float64(s.Capacity))
		counter(descHits, s.Hits)
		counter(descMisses, s.Misses)
		counter(descEvictions, s.Evictions)
		gauge(descDelayed, float64(s.Delayed))
		gauge(descDown, s.Down)
		counter(descNewer, s.Newer)
		detached := 0.
		if s.Detached {
			detached = 1
		}
		gauge(descDetached, detached)
		if s.ClockKnown {
			gauge(descClock, s.ClockAhead.Seconds())
			gauge(descClockWithin, s.ClockWithin.Seconds())
		}
	}
}

// sum adds up the statistics of tables with the same name. Of the clocks it takes
// the one that is further off.
func sum(a, b sessionstate.Stats) sessionstate.Stats {
	if !a.ClockKnown || b.ClockKnown && b.ClockAhead.Abs() > a.ClockAhead.Abs() {
		a.ClockKnown, a.ClockAhead, a.ClockWithin = b.ClockKnown, b.ClockAhead, b.ClockWithin
	}
	return sessionstate.Stats{
		ClockKnown: a.ClockKnown, ClockAhead: a.ClockAhead, ClockWithin: a.ClockWithin,
		Sessions: a.Sessions + b.Sessions, Capacity: a.Capacity + b.Capacity,
		Hits: a.Hits + b.Hits, Misses: a.Misses + b.Misses, Evictions: a.Evictions + b.Evictions,
		Delayed: a.Delayed + b.Delayed, Down: max(a.Down, b.Down),
		Newer: a.Newer + b.Newer, Detached: a.Detached || b.Detached,
	}
}

// observeStore counts the calls of a table's store.
func observeStore(name string) sessionstate.Observer {
	return func(operation, result string, took time.Duration) {
		metrics.stores.WithLabelValues(name, operation, result).Observe(took.Seconds())
	}
}

// reportWrites logs when delayed writes begin to fail and when they succeed again.
func reportWrites(logger *zap.Logger) func(error) {
	failing := false
	return func(err error) {
		switch {
		case err != nil && !failing:
			logger.Error("writing sessions; it is tried again until it succeeds", zap.Error(err))
		case err == nil && failing:
			logger.Info("sessions are written again")
		}
		if failing = err != nil; failing {
			metrics.storeErrors.Inc()
		}
	}
}
