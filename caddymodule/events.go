package caddymodule

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
)

// serveEvents enriches the events of a request and hands it on.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, request *enrich.Request) error {
	body, err := readBody(r, h.maxBody)
	if err != nil {
		return err
	}
	if body.decoded == nil {
		return next.ServeHTTP(w, r)
	}
	_, table, err := h.app.enter()
	if err != nil {
		body.close()
		h.logger.Error("opening the session store", zap.Error(err))
		if h.reject {
			return unavailable(w, r)
		}
		return next.ServeHTTP(w, r)
	}
	defer h.app.lease.leave()

	result := enrich.Enrich(r.Context(), table, request, body.decoded)
	h.report(&result.Outcome)
	switch {
	case result.ControlFailed, result.StoreErrors > 0 && h.reject:
		body.close()
		return unavailable(w, r)
	case result.Empty:
		body.close()
		return accepted(w, r)
	case result.Body != nil:
		body.replace(r, result.Body)
	}
	body.close()
	if len(result.Marks) == 0 {
		return next.ServeHTTP(w, r)
	}
	recorder := caddyhttp.NewResponseRecorder(w, nil, nil)
	err = next.ServeHTTP(recorder, r)
	if refused(recorder.Status(), err) {
		h.release(r, table, result.Marks)
	}
	return err
}

// refused reports whether the data plane has refused the events for good, so
// that no SDK sends them again.
func refused(status int, err error) bool {
	var handlerErr caddyhttp.HandlerError
	if errors.As(err, &handlerErr) {
		status = handlerErr.StatusCode
	}
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
}

// release frees the start marks of events that were refused for good.
func (h *Handler) release(r *http.Request, table *sessionstate.Table, marks []enrich.Mark) {
	// The client may be gone: what it left must be set right all the same.
	ctx := context.WithoutCancel(r.Context())
	for _, m := range marks {
		if err := table.Release(ctx, m.Key, m.Message, m.SessionID); err != nil {
			metrics.storeErrors.Inc()
			h.logger.Error("releasing a start mark", zap.Error(err))
		}
	}
}

// report counts and logs what was decided.
func (h *Handler) report(o *enrich.Outcome) {
	metrics.count(o)
	if o.InvalidIDs > 0 {
		h.logger.Warn("startSession with an invalid sessionId; the session got a generated one",
			zap.Int("calls", o.InvalidIDs))
	}
	if o.Err != nil {
		h.logger.Error("looking up sessions", zap.Error(o.Err), zap.Int("users", o.StoreErrors))
	}
	if c := h.logger.Check(zapcore.DebugLevel, "decided"); c != nil {
		c.Write(zap.Bool("shadow", h.Shadow), zap.Int("stamped", o.Stamped), zap.Int("cleared", o.Cleared),
			zap.Int("untouched", o.Untouched), zap.Int("starts", o.Starts), zap.Int("ends", o.Ends),
			zap.Int("resets", o.Resets))
	}
}
