// Package caddymodule is the Caddy adapter: the HTTP handler
// http.handlers.rudder_session, the app rudder_session, which keeps the session
// table that handlers share, and the namespace rudder_session.stores.
package caddymodule

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func init() {
	caddy.RegisterModule((*Handler)(nil))
}

// Handler enforces sessions on the events that RudderStack SDKs send through it
// to the data plane. It answers the control calls startSession, endSession and
// resetSession, and sets or removes `context.sessionId` and
// `context.sessionStart` in track, page, identify, screen, group and alias
// events. Every other byte, and every other request, goes through unchanged.
//
// It needs no configuration. It must stand in front of a `reverse_proxy` to the
// data plane.
type Handler struct {
	// Who makes a session where startSession was not called: `sdk` leaves the
	// SDK's own sessions as they are, `adopt` takes them over, so that each keeps
	// its id and has exactly one start mark, `proxy` makes automatic sessions here,
	// for all SDKs alike, server-side ones included, `off` removes the session
	// fields. Default: `sdk`.
	Automatic Value `json:"automatic,omitempty"`

	// The gap between two events of a user after which the proxy begins a new
	// automatic session, where `automatic` is `proxy`, and after which an SDK's own
	// session is not the current one any more, where it is `adopt`. Default: `30m`.
	Timeout Value `json:"timeout,omitempty"`

	// The greatest length of an automatic session, where `automatic` is
	// `proxy`: a duration, or `off` for none. Default: `off`.
	Cutoff Value `json:"cutoff,omitempty"`

	// The gap between two events of a user after which a manual session is over
	// without an endSession, for apps that lose these calls: a duration, or `off`.
	// Events after the gap get the session that `automatic` says. Default: `off`.
	ManualTimeout Value `json:"manual_timeout,omitempty"`

	// Which SDKs' identify with another userId ends the session and begins a
	// new one: `web` (all but native mobile SDKs, as the SDKs themselves do),
	// `always` or `never`. Default: `web`.
	IdentifyReset Value `json:"identify_reset,omitempty"`

	// The event names by which a track call is a control call, for SDKs that
	// have no other way: to start, end and reset a session, in this order.
	// Default: `startSession`, `endSession`, `resetSession`.
	ControlEvents []string `json:"control_events,omitempty"`

	// The write keys whose sessions are enforced. Events under others go through
	// unchanged, their control calls are refused. Default: all write keys.
	WriteKeys []string `json:"write_keys,omitempty"`

	// The largest body that the data plane takes, decompressed. Larger bodies
	// go through unread, and no body is made larger than it. It is the data
	// plane's `Gateway.maxReqSizeInKB`. Default: `4000KiB`.
	MaxBody Value `json:"max_body,omitempty"`

	// What to do with events whose session cannot be looked up: `pass` forwards
	// them as they came, `reject` answers 503, which SDKs try again. Default:
	// `pass`.
	OnStoreError Value `json:"on_store_error,omitempty"`

	// How many sessions the control calls of one user may begin in a minute, or
	// `off` for any number. Calls beyond it are answered 429 at the endpoints,
	// and have no effect in events. Default: `600`.
	MaxSessionStarts Value `json:"max_session_starts,omitempty"`

	// How long the work on a request may go on after its client has gone, once the
	// whole body has arrived: to forward it, and to note what the answer decides. It
	// should be as long as SDKs wait for an answer. Default: `60s`.
	FinishTimeout Value `json:"finish_timeout,omitempty"`

	// The path under which the data plane is reached through this handler, such
	// as `/rs`. Not needed within `handle_path`, which removes it. Default: none.
	Prefix Value `json:"prefix,omitempty"`

	// Whether a session belongs to the id alone, whatever the write key: a
	// website's session then holds for its backend's source too. Default: false.
	ShareSessions bool `json:"share_sessions,omitempty"`

	// Whether an event that has a `userId` and no device of its own (no
	// `anonymousId`, or `channel` is `server`) takes the session that its user is
	// in: the one that was current, when the event happened, on the device where
	// the user was last active. For the backend's events: with `share_sessions`
	// where the backend has a write key of its own. Default: false.
	FollowUser bool `json:"follow_user,omitempty"`

	// Whether a body that arrived compressed with gzip is compressed again after the
	// handler has changed it, instead of going on plain. It saves nine tenths of the
	// bytes on the way to the data plane, and takes processor time: for a data plane
	// behind a line whose traffic costs money. A body that is not changed goes on as
	// it came in any case. Default: false.
	KeepEncoding bool `json:"keep_encoding,omitempty"`

	// Options that differ for single write keys.
	Sources map[string]Source `json:"sources,omitempty"`

	// Try it out: decide, count and answer control calls, but change no event.
	// Default: false.
	Shadow bool `json:"shadow,omitempty"`

	app *App
	// sources are the configured ones, by write key; others stands for the rest.
	sources   map[string]*source
	others    source
	names     enrich.Names
	writeKeys map[string]struct{}
	maxBody   int
	reject    bool
	maxStarts int
	finish    time.Duration
	prefix    string
	logger    *zap.Logger
}

// Source has the options that may differ for one write key. Those that are not set
// are the handler's.
type Source struct {
	// The name of the source in metrics, which never have write keys: the label
	// `source` of `caddy_rudder_session_events_total`. Default: no name.
	Name Value `json:"name,omitempty"`

	// As the handler's `automatic`.
	Automatic Value `json:"automatic,omitempty"`

	// As the handler's `timeout`.
	Timeout Value `json:"timeout,omitempty"`

	// As the handler's `cutoff`.
	Cutoff Value `json:"cutoff,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.rudder_session",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision reads the options.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = sampled(ctx.Logger())
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	app, err := ctx.App("rudder_session")
	if err != nil {
		return err
	}
	h.app = app.(*App)
	if err := h.readOptions(); err != nil {
		return err
	}
	h.app.register(h)
	return nil
}

// handledVar marks a request that a handler has worked on. If it comes to this or
// another rudder_session handler again, that one forwards it untouched.
const handledVar = "rudder_session.handled"

// ServeHTTP answers control calls and enriches events.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	target, known := h.route(r)
	if !known {
		provideEmptyPlaceholders(r)
		return next.ServeHTTP(w, r)
	}
	if caddyhttp.GetVar(r.Context(), handledVar) != nil {
		return next.ServeHTTP(w, r) // the other handler reports it
	}
	report := h.newReport(r, target)
	writeKey, found := findWriteKey(r, target)
	if target.control() {
		return h.serveControl(w, r, report, writeKey, found)
	}
	if why, passes := h.passes(r, writeKey, found); passes {
		report.finish(why)
		return next.ServeHTTP(w, r)
	}
	caddyhttp.SetVar(r.Context(), handledVar, true)
	return h.serveEvents(w, r, next, report, h.request(r, target, writeKey))
}

// passes reports whether an event request is not to be read, and why.
func (h *Handler) passes(r *http.Request, writeKey string, found bool) (why requestOutcome, passes bool) {
	switch {
	case !found:
		return noWriteKey, true
	case !h.listed(writeKey):
		return otherWriteKey, true
	case r.Header.Get("X-Rudder-Job-Run-Id") != "":
		return ofJob, true
	case noBody(r):
		return withoutBody, true
	case caddyhttp.IsIncremental(r.Header):
		return streaming, true // it asks not to be buffered
	}
	return 0, false
}

func (h *Handler) request(r *http.Request, t target, writeKey string) *enrich.Request {
	return h.requestAt(received(r).UnixMilli(), t.endpoint, writeKey)
}

func (h *Handler) requestAt(received int64, e enrich.Endpoint, writeKey string) *enrich.Request {
	request := &enrich.Request{
		Endpoint:  e,
		WriteKey:  writeKey,
		Serial:    rand.Uint64(),
		Received:  received,
		MaxBody:   h.maxBody,
		MaxStarts: h.maxStarts,
		Share:     h.ShareSessions,
		Follow:    h.FollowUser,
		Names:     h.names,
		Policy:    &h.others.policy,
		Shadow:    h.Shadow,
	}
	if source, ok := h.sources[writeKey]; ok {
		request.Policy = &source.policy
	}
	return request
}

// source is what may differ between write keys.
type source struct {
	name   string // in metrics
	policy session.Policy
	meter  *eventMeter
}

func (h *Handler) source(writeKey string) *source {
	if s, ok := h.sources[writeKey]; ok {
		return s
	}
	return &h.others
}

// received is when Caddy received the request's header, before its body: the time
// that is nearest to the SDK's sentAt.
func received(r *http.Request) time.Time {
	if start, ok := caddyhttp.GetVar(r.Context(), "start_time").(time.Time); ok {
		return start
	}
	return time.Now()
}

// listed reports whether the handler enforces the sessions of a write key.
func (h *Handler) listed(writeKey string) bool {
	_, ok := h.writeKeys[writeKey]
	return ok || len(h.writeKeys) == 0
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
