package caddymodule

import (
	"errors"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// cutShort answers a request whose body did not arrive completely. That is the client's
// fault, not the server's. So it returns no error to Caddy, which would log it as the
// server's, with the write key that may be in the URI.
func (h *Handler) cutShort(w http.ResponseWriter, r *http.Request, report *requestReport, err error) error {
	report.finish(aborted)
	if _, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		if report.target.control() {
			cors(w, r)
		}
		return err // from an earlier handler, such as request_body
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return caddyhttp.Error(http.StatusRequestEntityTooLarge, err)
	}
	status := statusClientGone
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		status = http.StatusRequestTimeout
	}
	// Do not log the error: its text may contain what the client sent.
	h.logger.Info("a client did not send its body whole",
		zap.String("endpoint", endpointName(report.target.number())), zap.Int("status", status))
	plain(w, r, status, textAborted)
	return nil
}
