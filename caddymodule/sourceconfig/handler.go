package sourceconfig

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ServeHTTP rewrites the source config that the next handler answers with.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// More slashes than one are the same to some servers, and to none something
	// else that an SDK would ask for.
	if r.Method != http.MethodGet || strings.Trim(r.URL.Path, "/") != "sourceConfig" {
		return next.ServeHTTP(w, r)
	}
	out := &response{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		handler:               h,
		conditional:           h.prepare(r.Header),
	}
	err := next.ServeHTTP(out, r)
	if finishErr := out.finish(err != nil); err == nil {
		err = finishErr
	}
	return err
}

// prepare makes of a request one that is answered with what can be rewritten: the
// whole body, in an encoding that is read here. It reports whether the client
// has rewritten bodies, one of which may still be right.
func (h *Handler) prepare(header http.Header) (conditional bool) {
	for _, name := range []string{"Range", "If-Range"} {
		delete(header, name)
	}
	conditional = h.mark.translate(header, "If-None-Match")
	// A date does not tell whether the client has the rewritten body or, from
	// before this handler stood here, the control plane's own.
	delete(header, "If-Modified-Since")
	encoding := "identity"
	if acceptsGzip(header["Accept-Encoding"]) {
		encoding = "gzip"
	}
	header["Accept-Encoding"] = []string{encoding}
	return conditional
}

// acceptsGzip reports whether a client takes gzip.
func acceptsGzip(values []string) bool {
	other, gzip := false, false
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		coding, parameters, _ := strings.Cut(item, ";")
		accepted := true
		name, q, _ := strings.Cut(strings.TrimSpace(parameters), "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			accepted = err == nil && weight > 0
		}
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			if !accepted {
				return false
			}
			gzip = true
		case "*":
			other = accepted
		}
	}
	return gzip || other
}
