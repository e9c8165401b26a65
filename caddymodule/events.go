package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// serveEvents enriches the events of a request and forwards it.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, report *requestReport, request *enrich.Request) (err error) {
	body, err := readBody(r, h.maxBody, h.finish)
	if err != nil {
		return h.cutShort(w, r, report, err)
	}
	defer func() { body.leave(r, err) }()
	if body.decoded == nil {
		report.finish(body.unread)
		return next.ServeHTTP(w, r)
	}
	table, err := h.enter()
	if err != nil {
		if h.rejects() {
			report.finish(unavailableState)
			return unavailable(w, r)
		}
		report.finish(noStore)
		return next.ServeHTTP(w, r)
	}
	defer h.app.leave()

	source := h.source(request.WriteKey)
	table.setReceived(request, received(r))
	table.observe(request, source.name)
	span, began := startSpan(r), time.Now()
	result := enrich.Enrich(r.Context(), table.sessions(), request, body.decoded)
	failed := result.ControlFailed || result.StoreErrors > 0 && h.rejects()
	report.messages, report.sessionID = result.Outcome, result.SessionID
	report.finish(outcomeOf(&result, failed))
	measure(report.target, len(body.decoded), began)
	source.meter.count(request.Endpoint, &result.Outcome, failed)
	table.activity.count(request.Received, &result.Outcome, failed)
	report.endSpan(span)
	h.log(&result.Outcome, failed)

	switch {
	case failed:
		return unavailable(w, r)
	case result.Empty:
		accepted(w, r)
		return nil
	}
	if result.Body != nil {
		h.handOn(r, body, result.Body)
	}
	if len(result.Marks) == 0 {
		return next.ServeHTTP(w, r)
	}
	answer := caddyhttp.NewResponseRecorder(w, nil, nil)
	// Deferred, because if the answer cannot be written, that ends in a panic.
	defer func() { h.settle(r, body, table, result.Marks, answer.Status(), err) }()
	return next.ServeHTTP(answer, r)
}

func outcomeOf(result *enrich.Result, failed bool) requestOutcome {
	switch {
	case failed:
		return unavailableState
	case result.TooMany:
		return tooLarge
	case result.Unreadable:
		return notJSON
	case result.Empty:
		return answered
	case result.Body != nil:
		return changed
	}
	return unchanged
}

// enter returns the table. If there is no error, the caller must call
// h.app.leave when it no longer uses the table.
func (h *Handler) enter() (*sharedTable, error) {
	table, err := h.app.enter()
	if err != nil {
		h.logger.Error("opening the session store", zap.Error(err))
	}
	return table, err
}

// rejects reports whether to answer 503 to events whose session cannot be read,
// instead of forwarding them.
func (h *Handler) rejects() bool { return h.reject && !h.Shadow }

// log logs errors and, at debug level, what was decided.
func (h *Handler) log(o *enrich.Outcome, failed bool) {
	events := o.Events[session.InvalidOwnID]
	if calls := o.InvalidIDs - events; calls > 0 {
		h.logger.Warn("startSession with an invalid sessionId; the session got a generated one",
			zap.Int("calls", calls))
	}
	if events > 0 {
		h.logger.Warn("events with an invalid session id of their SDK's; it was removed", zap.Int("events", events))
	}
	if o.Err != nil {
		h.logger.Error("looking up sessions", zap.Error(o.Err), zap.Int("users", o.StoreErrors))
	}
	if failed {
		return
	}
	if c := h.logger.Check(zapcore.DebugLevel, "decided"); c != nil {
		c.Write(zap.Bool("shadow", h.Shadow), zap.Int("stamped", o.Stamped), zap.Int("cleared", o.Cleared),
			zap.Int("untouched", o.Untouched), zap.Int("starts", o.Starts), zap.Int("ends", o.Ends),
			zap.Int("resets", o.Resets))
	}
}

// sampled limits how often the same message is logged. A store that is down, or a
// client that sends invalid calls, would cause one with every request.
func sampled(logger *zap.Logger) *zap.Logger {
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Second, 10, 1000)
	}))
}
