package caddymodule

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rudder-session/rudder-session/enrich"
)

// account is what is reported about a request, in metrics, the access log,
// placeholders and the trace.
type account struct {
	target    target
	outcome   requestOutcome
	shadow    bool
	sessionID int64
	messages  enrich.Outcome
}

// open creates the account of a request, and makes it available to the access log
// and, through placeholders, to other directives.
func (h *Handler) open(r *http.Request, t target) *account {
	a := &account{target: t, shadow: h.Shadow}
	if before, ok := caddyhttp.GetVar(r.Context(), passedVar).(*passedBy); ok {
		before.account = a
	} else if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(a.placeholder)
	}
	// Without an access log, adding the fields would only cost allocations.
	if server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server.Logs != nil {
		if fields, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
			fields.Add(zap.Object("rudder_session", a))
		}
	}
	return a
}

// close sets what became of the request, and counts it.
func (a *account) close(o requestOutcome) {
	a.outcome = o
	metrics.requests.get(a.target.number()*int(requestOutcomes) + int(o)).Inc()
}

const placeholderPrefix = "http.rudder_session."

// passedBy provides the placeholders of a request that a handler ignores. They are
// empty, unless another handler takes the request later.
type passedBy struct{ account *account }

// passedVar is the name of the variable with the passedBy of a request.
const passedVar = "rudder_session.passed"

// passBy provides empty placeholders for a request without an account. Otherwise other
// directives would use the text of the placeholder itself.
func passBy(r *http.Request) {
	if caddyhttp.GetVar(r.Context(), passedVar) != nil || caddyhttp.GetVar(r.Context(), handledVar) != nil {
		return
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		p := new(passedBy)
		caddyhttp.SetVar(r.Context(), passedVar, p)
		repl.Map(p.placeholder)
	}
}

func (p *passedBy) placeholder(key string) (any, bool) {
	if p.account != nil {
		return p.account.placeholder(key)
	}
	_, known := new(account).placeholder(key)
	return "", known
}

// placeholder returns the values of {http.rudder_session.*}, which may be empty.
func (a *account) placeholder(key string) (any, bool) {
	name, ok := strings.CutPrefix(key, placeholderPrefix)
	if !ok {
		return nil, false
	}
	switch name {
	case "endpoint":
		return endpointName(a.target.number()), true
	case "outcome":
		return a.outcome.word(), true
	case "reason":
		return a.outcome.reason(), true
	case "session_id":
		if a.sessionID == 0 {
			return "", true
		}
		return a.sessionID, true
	}
	for _, c := range a.counts() {
		if c.name == name {
			return c.n, true
		}
	}
	return nil, false
}

type namedCount struct {
	name string
	n    int
}

// counts returns the numbers of messages by what was done to them.
func (a *account) counts() [5]namedCount {
	o := &a.messages
	return [...]namedCount{
		{"events", o.Stamped + o.Cleared + o.Untouched},
		{"stamped", o.Stamped},
		{"cleared", o.Cleared},
		{"untouched", o.Untouched},
		{"consumed", o.Consumed()},
	}
}

// MarshalLogObject writes the fields of the access log. They contain no ids.
func (a *account) MarshalLogObject(to zapcore.ObjectEncoder) error {
	to.AddString("endpoint", endpointName(a.target.number()))
	to.AddString("outcome", a.outcome.word())
	if reason := a.outcome.reason(); reason != "" {
		to.AddString("reason", reason)
	}
	if a.shadow {
		to.AddBool("shadow", true)
	}
	if a.outcome == changed || a.outcome == unchanged || a.outcome == answered {
		for _, c := range a.counts() {
			to.AddInt(c.name, c.n)
		}
	}
	return nil
}

// startSpan starts a span within that of the request, if that one is recorded. It
// lasts as long as the decision about the request.
func startSpan(r *http.Request) trace.Span {
	parent := trace.SpanFromContext(r.Context())
	if !parent.IsRecording() {
		return nil
	}
	tracer := parent.TracerProvider().Tracer("github.com/rudder-session/rudder-session")
	_, span := tracer.Start(context.WithoutCancel(r.Context()), "rudder_session")
	return span
}

// endSpan ends the span, with the account as its attributes.
func (a *account) endSpan(span trace.Span) {
	if span == nil {
		return
	}
	span.SetAttributes(
		attribute.String("rudder_session.endpoint", endpointName(a.target.number())),
		attribute.String("rudder_session.outcome", a.outcome.word()),
		attribute.Bool("rudder_session.shadow", a.shadow),
	)
	if reason := a.outcome.reason(); reason != "" {
		span.SetAttributes(attribute.String("rudder_session.reason", reason))
	}
	for _, c := range a.counts() {
		span.SetAttributes(attribute.Int("rudder_session."+c.name, c.n))
	}
	if a.messages.Err != nil {
		span.SetStatus(codes.Error, "session state is unavailable")
	}
	span.End()
}
