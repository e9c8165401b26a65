package caddymodule

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rudder-session/rudder-session/enrich"
)

// metrics live as long as the process: Caddy makes a new registry for each
// configuration, and counters that began again with it would lose counts.
var metrics = newHandlerMetrics()

type handlerMetrics struct {
	events      *prometheus.CounterVec
	controls    *prometheus.CounterVec
	invalidIDs  prometheus.Counter
	storeErrors prometheus.Counter
}

func newHandlerMetrics() *handlerMetrics {
	const namespace, subsystem = "caddy", "rudder_session"
	return &handlerMetrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "events_total",
			Help: "Events by what was decided about their session fields.",
		}, []string{"outcome"}),
		controls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "control_calls_total",
			Help: "Control calls by kind and result.",
		}, []string{"call", "result"}),
		invalidIDs: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "invalid_session_ids_total",
			Help: "startSession calls in events whose sessionId was invalid and replaced by a generated one.",
		}),
		storeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "store_errors_total",
			Help: "Sessions that could not be read or written.",
		}),
	}
}

func registerMetrics(registry *prometheus.Registry) error {
	for _, c := range []prometheus.Collector{metrics.events, metrics.controls, metrics.invalidIDs, metrics.storeErrors} {
		var registered prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &registered) {
			return err
		}
	}
	return nil
}

func (m *handlerMetrics) count(o *enrich.Outcome, failed bool) {
	m.storeErrors.Add(float64(o.StoreErrors))
	result := "ok"
	if failed {
		result = "unavailable"
		o = &enrich.Outcome{Starts: o.Starts, Ends: o.Ends, Resets: o.Resets}
	}
	m.addEvents("stamped", o.Stamped)
	m.addEvents("cleared", o.Cleared)
	m.addEvents("untouched", o.Untouched)
	m.addControls("startSession", result, o.Starts)
	m.addControls("endSession", result, o.Ends)
	m.addControls("resetSession", result, o.Resets)
	m.invalidIDs.Add(float64(o.InvalidIDs))
}

func (m *handlerMetrics) addEvents(outcome string, n int) {
	if n > 0 {
		m.events.WithLabelValues(outcome).Add(float64(n))
	}
}

func (m *handlerMetrics) addControls(call, result string, n int) {
	if n > 0 {
		m.controls.WithLabelValues(call, result).Add(float64(n))
	}
}

func (m *handlerMetrics) control(e enrich.Endpoint, err error) {
	call := map[enrich.Endpoint]string{
		enrich.StartSession: "startSession",
		enrich.EndSession:   "endSession",
		enrich.ResetSession: "resetSession",
	}[e]
	result := "ok"
	var storeErr *enrich.StoreError
	switch {
	case errors.As(err, &storeErr):
		result = "unavailable"
	case err != nil:
		result = "invalid"
	}
	m.controls.WithLabelValues(call, result).Inc()
}

// sampled bounds how often one message is logged: a store that is down, or a
// client that calls wrongly, would repeat it with every request.
func sampled(logger *zap.Logger) *zap.Logger {
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Second, 10, 1000)
	}))
}
