package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/enrich"
)

// statusClientGone is the status with which Caddy answers if the client has gone.
const statusClientGone = 499

// refused reports whether a response with this status refuses the events permanently,
// so that no SDK retries them.
func refused(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, statusClientGone:
		return false
	}
	return status >= 400 && status < 500
}

// settle releases the start marks if the events were refused permanently, by the data
// plane or by any later handler. status is that of the response, or 0 if there was
// none; err is what the later handlers returned. It must be called before body.leave.
func (h *Handler) settle(r *http.Request, body *body, table *sharedTable, marks []enrich.Mark, status int, err error) {
	if status == 0 && err != nil {
		status = statusOf(err)
		if handlesErrors(r) {
			h.settleLater(r, body, marks, status)
			return
		}
	}
	if refused(status) {
		h.release(r.Context(), table, marks)
	}
}

// settleLater settles the marks of a request whose error goes to Caddy's routes for
// errors, which may send the events somewhere else. status is that of the error.
func (h *Handler) settleLater(r *http.Request, body *body, marks []enrich.Mark, status int) {
	ctx, before := r.Context(), latency(r.Context())
	body.rewind(r)
	again := body.again
	// The server cancels its context as soon as the request is done.
	context.AfterFunc(body.detached.client, func() {
		if again != nil && again.read.Load() {
			status = 0
			if after := latency(ctx); after != before {
				status, _ = placeholder(ctx, "status_code").(int)
			}
		}
		if !refused(status) {
			return
		}
		table, err := h.enter()
		if err != nil {
			return // logged
		}
		defer h.app.leave()
		h.release(ctx, table, marks)
	})
}

// latency returns a value that differs between the responses of reverse proxies.
func latency(ctx context.Context) any { return placeholder(ctx, "upstream.latency") }

// placeholder returns a placeholder that reverse_proxy has set for a request.
func placeholder(ctx context.Context, name string) any {
	repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return nil
	}
	v, _ := repl.Get("http.reverse_proxy." + name)
	return v
}

// handlesErrors reports whether the server has error routes, which then decide the
// client's answer.
func handlesErrors(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return ok && server.Errors != nil && len(server.Errors.Routes) > 0
}

// statusOf returns the status with which Caddy answers an error.
func statusOf(err error) int {
	if e, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		return e.StatusCode
	}
	return http.StatusInternalServerError
}

// longestRelease bounds how long releasing all marks of a request may take.
const longestRelease = 5 * time.Second

// release releases the start marks of events that were refused permanently.
func (h *Handler) release(ctx context.Context, table *sharedTable, marks []enrich.Mark) {
	// The marks must be released even if the client has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestRelease)
	defer cancel()
	for i := range marks {
		if ctx.Err() != nil {
			return // the remaining marks stay assigned to refused events
		}
		if err := marks[i].Release(ctx, table.sessions()); err != nil {
			metrics.storeErrors.Inc()
			h.logger.Error("releasing a start mark", zap.Error(err))
			continue
		}
		metrics.released.Inc()
	}
}
