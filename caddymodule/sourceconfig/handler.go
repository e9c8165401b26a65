package sourceconfig

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ServeHTTP rewrites the source config that the next handler answers with.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// Some servers ignore extra slashes, and no SDK asks for anything else by such a
	// path.
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

// prepare changes a request so that the answer can be rewritten: the whole body, in
// an encoding that this handler reads. It reports whether the request is conditional
// on a rewritten body that the client already has.
func (h *Handler) prepare(header http.Header) (conditional bool) {
	for _, name := range []string{"Range", "If-Range"} {
		delete(header, name)
	}
	conditional = h.mark.translate(header, "If-None-Match")
	// A date does not say whether the client has a rewritten body, or the control
	// plane's own from before this handler was installed.
	delete(header, "If-Modified-Since")
	encoding := "identity"
	if acceptsGzip(header["Accept-Encoding"]) {
		encoding = "gzip"
	}
	header["Accept-Encoding"] = []string{encoding}
	return conditional
}

// acceptsGzip reports whether the values of Accept-Encoding allow gzip.
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
