package caddymodule

import (
	"context"
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
	defer body.release()
	if body.decoded == nil {
		return next.ServeHTTP(w, r)
	}
	table, err := h.enter()
	if err != nil {
		if h.rejects() {
			return unavailable(w, r)
		}
		return next.ServeHTTP(w, r)
	}
	defer h.app.lease.leave()

	result := enrich.Enrich(r.Context(), table, request, body.decoded)
	failed := result.ControlFailed || result.StoreErrors > 0 && h.rejects()
	if !failed && result.Body != nil {
		body.replace(r, result.Body)
	}
	h.report(&result.Outcome, failed)
	switch {
	case failed:
		return unavailable(w, r)
	case result.Empty:
		return accepted(w, r)
	}
	if len(result.Marks) == 0 {
		return next.ServeHTTP(w, r)
	}
	recorder := caddyhttp.NewResponseRecorder(w, nil, nil)
	if err = next.ServeHTTP(recorder, r); err == nil && refused(recorder.Status()) && r.Context().Err() == nil {
		h.release(r, table, result.Marks)
	}
	return err
}

// enter returns the session table. The caller must call h.app.lease.leave when it
// is done with it, if there was no error.
func (h *Handler) enter() (*sessionstate.Table, error) {
	table, err := h.app.enter()
	if err != nil {
		h.logger.Error("opening the session store", zap.Error(err))
	}
	return table, err
}

// rejects reports whether an event whose session cannot be had is not to be
// forwarded.
func (h *Handler) rejects() bool { return h.reject && !h.Shadow }

// statusClientGone is what Caddy itself answers where a client did not wait.
const statusClientGone = 499

// refused reports whether a data plane that answers so has refused the events
// for good, and no SDK sends them again.
func refused(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, statusClientGone:
		return false
	}
	return status >= 400 && status < 500
}

// release frees the start marks of events that were refused for good.
func (h *Handler) release(r *http.Request, table *sessionstate.Table, marks []enrich.Mark) {
	// The client may be gone: what it left must be set right all the same.
	ctx := context.WithoutCancel(r.Context())
	for i := range marks {
		if err := marks[i].Release(ctx, table); err != nil {
			metrics.storeErrors.Inc()
			h.logger.Error("releasing a start mark", zap.Error(err))
		}
	}
}

// report counts and logs what was decided. Of a request that failed nothing but
// its errors counts: it comes again.
func (h *Handler) report(o *enrich.Outcome, failed bool) {
	metrics.count(o, failed)
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
