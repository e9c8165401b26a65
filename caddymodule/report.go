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

// requestReport is what the handler reports about a request in metrics, the access
// log, placeholders and the trace.
type requestReport struct {
	target    target
	outcome   requestOutcome
	shadow    bool
	sessionID int64
	messages  enrich.Outcome
}

// newReport creates the report of a request, and makes it available to the access
// log and, through placeholders, to other directives.
func (h *Handler) newReport(r *http.Request, t target) *requestReport {
	report := &requestReport{target: t, shadow: h.Shadow}
	if before, ok := caddyhttp.GetVar(r.Context(), ignoredVar).(*ignoredRequest); ok {
		before.report = report
	} else if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(report.placeholder)
	}
	// Without an access log, adding the fields would only cost allocations.
	if server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server.Logs != nil {
		if fields, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
			fields.Add(zap.Object("rudder_session", report))
		}
	}
	return report
}

// finish sets the outcome of the request, and counts it.
func (report *requestReport) finish(o requestOutcome) {
	report.outcome = o
	metrics.requests.get(report.target.number()*int(requestOutcomes) + int(o)).Inc()
}

const placeholderPrefix = "http.rudder_session."

// ignoredRequest provides the placeholders of a request that a handler ignores. They
// are empty, unless another handler takes the request later.
type ignoredRequest struct{ report *requestReport }

// ignoredVar is the name of the variable with the ignoredRequest of a request.
const ignoredVar = "rudder_session.passed"

// provideEmptyPlaceholders is for a request without a report. Otherwise other
// directives would use the text of the placeholder itself.
func provideEmptyPlaceholders(r *http.Request) {
	if caddyhttp.GetVar(r.Context(), ignoredVar) != nil || caddyhttp.GetVar(r.Context(), handledVar) != nil {
		return
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		p := new(ignoredRequest)
		caddyhttp.SetVar(r.Context(), ignoredVar, p)
		repl.Map(p.placeholder)
	}
}

func (p *ignoredRequest) placeholder(key string) (any, bool) {
	if p.report != nil {
		return p.report.placeholder(key)
	}
	_, known := new(requestReport).placeholder(key)
	return "", known
}

// placeholder returns the values of {http.rudder_session.*}, which may be empty.
func (report *requestReport) placeholder(key string) (any, bool) {
	name, ok := strings.CutPrefix(key, placeholderPrefix)
	if !ok {
		return nil, false
	}
	switch name {
	case "endpoint":
		return endpointName(report.target.number()), true
	case "outcome":
		return report.outcome.word(), true
	case "reason":
		return report.outcome.reason(), true
	case "session_id":
		if report.sessionID == 0 {
			return "", true
		}
		return report.sessionID, true
	}
	for _, c := range report.counts() {
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
func (report *requestReport) counts() [5]namedCount {
	o := &report.messages
	return [...]namedCount{
		{"events", o.Stamped + o.Cleared + o.Untouched},
		{"stamped", o.Stamped},
		{"cleared", o.Cleared},
		{"untouched", o.Untouched},
		{"consumed", o.Consumed()},
	}
}

// MarshalLogObject writes the fields of the access log. They contain no ids.
func (report *requestReport) MarshalLogObject(to zapcore.ObjectEncoder) error {
	to.AddString("endpoint", endpointName(report.target.number()))
	to.AddString("outcome", report.outcome.word())
	if reason := report.outcome.reason(); reason != "" {
		to.AddString("reason", reason)
	}
	if report.shadow {
		to.AddBool("shadow", true)
	}
	if report.outcome == changed || report.outcome == unchanged || report.outcome == answered {
		for _, c := range report.counts() {
			to.AddInt(c.name, c.n)
		}
	}
	return nil
}

// startSpan starts a child span of the request's span, if that one is recorded. It
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

// endSpan ends the span, with the report as its attributes.
func (report *requestReport) endSpan(span trace.Span) {
	if span == nil {
		return
	}
	span.SetAttributes(
		attribute.String("rudder_session.endpoint", endpointName(report.target.number())),
		attribute.String("rudder_session.outcome", report.outcome.word()),
		attribute.Bool("rudder_session.shadow", report.shadow),
	)
	if reason := report.outcome.reason(); reason != "" {
		span.SetAttributes(attribute.String("rudder_session.reason", reason))
	}
	for _, c := range report.counts() {
		span.SetAttributes(attribute.Int("rudder_session."+c.name, c.n))
	}
	if report.messages.Err != nil {
		span.SetStatus(codes.Error, "session state is unavailable")
	}
	span.End()
}
