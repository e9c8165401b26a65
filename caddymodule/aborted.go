package caddymodule

import (
	"errors"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// cutShort answers a request whose body did not come whole. That is the
// client's doing, not a failure of the server's: Caddy is told of no error,
// which it would log as one, with the write key that a URI may have.
func (h *Handler) cutShort(w http.ResponseWriter, r *http.Request, a *account, err error) error {
	a.close(aborted)
	if _, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		if a.target.control() {
			cors(w, r)
		}
		return err // of a handler in front, such as request_body
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return caddyhttp.Error(http.StatusRequestEntityTooLarge, err)
	}
	status := statusClientGone
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		status = http.StatusRequestTimeout
	}
	// The error's text may be the client's.
	h.logger.Info("a client did not send its body whole",
		zap.String("endpoint", endpointName(a.target.number())), zap.Int("status", status))
	plain(w, r, status, textAborted)
	return nil
}
