// Package sourceconfig is the Caddy module
// http.handlers.rudder_session_source_config: it keeps the control plane from
// directing SDKs around the proxy.
package sourceconfig

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rudder-session/rudder-session/caddymodule"
)

func init() {
	caddy.RegisterModule((*Handler)(nil))
	httpcaddyfile.RegisterHandlerDirective("rudder_session_source_config", func(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h := new(Handler)
		return h, h.UnmarshalCaddyfile(helper.Dispenser)
	})
	// At the same place as rudder_session: before handle, route and reverse_proxy, one
	// of which asks the control plane.
	httpcaddyfile.RegisterDirectiveOrder("rudder_session_source_config", httpcaddyfile.After, "request_header")
}

// Handler removes the data planes from the source configs that SDKs fetch
// through it: some SDKs send their events to a data plane that the control plane
// names in `source.dataplanes`, in place of the address that the app gave them,
// and so past `rudder_session`. Without the member they all use the app's.
//
// It works on the answers to `GET /sourceConfig` and `GET /sourceConfig/`: a
// `200` with a JSON object. All other bytes of it, and all other requests and
// answers, go through unchanged. It must stand in front of a `reverse_proxy` to
// the control plane.
type Handler struct {
	// The address to which SDKs are to send their events, such as
	// `https://events.example.com`. With it the URLs in `source.dataplanes` are
	// replaced by it, instead of the member being removed: for SDKs that insist on
	// the member. Default: none, the member is removed.
	DataPlane caddymodule.Value `json:"data_plane,omitempty"`

	// The largest source config, compressed and decompressed, that is read.
	// Larger ones go through as they are, data planes included. Default: `8MiB`.
	MaxBody caddymodule.Value `json:"max_body,omitempty"`

	dataPlane string
	maxBody   int
	mark      mark
	logger    *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.rudder_session_source_config",
		New: func() caddy.Module { return new(Handler) },
	}
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Every line is
// optional. Syntax:
//
//	rudder_session_source_config {
//	    data_plane <url>
//	    max_body   <size>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	_, err := caddymodule.UnmarshalBlock(d, "rudder_session_source_config", h.options())
	return err
}

func (h *Handler) options() []caddymodule.Option {
	return []caddymodule.Option{
		caddymodule.ValueOption("data_plane", &h.DataPlane, parseDataPlane, "", &h.dataPlane),
		caddymodule.ValueOption("max_body", &h.MaxBody, caddymodule.ParseBodySize("8MiB"), defaultMaxBody, &h.maxBody),
	}
}

const defaultMaxBody = 8 << 20 // bytes

// Provision reads the options.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = sampled(ctx.Logger())
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	if err := caddymodule.ReadOptions(h.options()); err != nil {
		return err
	}
	h.mark = markOf(h.dataPlane)
	return nil
}

// rewriting is the version of the rewriting. Change it whenever the same body and
// options would give other bytes than before, so that clients fetch the body again.
const rewriting = "1"

// markOf returns the mark for bodies that are rewritten with an option.
func markOf(dataPlane string) mark {
	sum := fnv.New32a()
	sum.Write([]byte(rewriting + "\x00" + dataPlane))
	return mark(fmt.Sprintf("-rs%08x", sum.Sum32()))
}

// sampled logs each message at most once a minute: clients decide how often there is
// a reason to log it.
func sampled(logger *zap.Logger) *zap.Logger {
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Minute, 1, 0)
	}))
}

// parseDataPlane reads a URL that SDKs can append a path to.
func parseDataPlane(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "", fmt.Errorf("%q is no URL, such as https://events.example.com", text)
	case u.User != nil || strings.ContainsAny(text, "?#"):
		return "", fmt.Errorf("%q has more than a host and a path", text)
	case strings.HasSuffix(text, "/"):
		return "", fmt.Errorf("%q ends with a slash", text)
	}
	return text, nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
