package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rudder-session/rudder-session/enrich"
)

// serveEvents enriches the events of a request and hands it on.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, a *account, request *enrich.Request) (err error) {
	body, err := readBody(r, h.maxBody, h.finish)
	if err != nil {
		return h.cutShort(w, r, a, err)
	}
	defer func() { body.leave(r, err) }()
	if body.decoded == nil {
		a.close(body.unread)
		return next.ServeHTTP(w, r)
	}
	table, err := h.enter()
	if err != nil {
		if h.rejects() {
			a.close(unavailableState)
			return unavailable(w, r)
		}
		a.close(noStore)
		return next.ServeHTTP(w, r)
	}
	defer h.app.leave()

	source := h.source(request.WriteKey)
	table.arrive(request, received(r))
	table.observe(request, source.name)
	span, began := startSpan(r), time.Now()
	result := enrich.Enrich(r.Context(), table.sessions(), request, body.decoded)
	failed := result.ControlFailed || result.StoreErrors > 0 && h.rejects()
	a.outcome, a.sessionID = result.Outcome, result.SessionID
	a.close(dispositionOf(&result, failed))
	measure(a.target, len(body.decoded), began)
	source.meter.count(request.Endpoint, &result.Outcome, failed)
	table.activity.count(request.Received, &result.Outcome, failed)
	a.endSpan(span)
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
	// Also when the answer cannot be written, which ends in a panic.
	defer func() { h.settle(r, body, table, result.Marks, answer.Status(), err) }()
	return next.ServeHTTP(answer, r)
}

func dispositionOf(result *enrich.Result, failed bool) disposition {
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

// enter returns the table. The caller must call h.app.leave when it is done
// with it, if there was no error.
func (h *Handler) enter() (*sharedTable, error) {
	table, err := h.app.enter()
	if err != nil {
		h.logger.Error("opening the session store", zap.Error(err))
	}
	return table, err
}

// rejects reports whether an event whose session cannot be had is not to be
// forwarded.
func (h *Handler) rejects() bool { return h.reject && !h.Shadow }

// log tells of what went wrong and, at debug level, of what was decided.
func (h *Handler) log(o *enrich.Outcome, failed bool) {
	if o.InvalidIDs > 0 {
		h.logger.Warn("startSession with an invalid sessionId; the session got a generated one",
			zap.Int("calls", o.InvalidIDs))
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

// sampled bounds how often one message is logged: a store that is down, or a
// client that calls wrongly, would repeat it with every request.
func sampled(logger *zap.Logger) *zap.Logger {
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Second, 10, 1000)
	}))
}
