package integration_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// spans receives the spans that Caddy exports, like an OpenTelemetry collector.
type spans struct {
	mu  sync.Mutex
	all []*trace.Span
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	text, err := io.ReadAll(body)
	var export collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(text, &export)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range export.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			s.all = append(s.all, scope.Spans...)
		}
	}
}

// TestTraces: the request's span has a child span of the handler, with attributes of what
// it did.
func TestTraces(t *testing.T) {
	collected := &spans{}
	server := httptest.NewServer(collected)
	defer server.Close()
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	p := run(t, proxytest.Setup{Site: "@traced not path /v1/page\ntracing @traced\n" + proxytest.Directives})
	p.Post(t, "/v1/page", `{"anonymousId":"one"}`) // not traced
	p.Start(t, "one", 1111111111)
	p.Post(t, "/v1/batch", `{"batch":[{"type":"page","anonymousId":"one"},{"type":"page"}]}`)

	var own, others []*trace.Span
	redistest.Await(t, "four spans", func() bool {
		collected.mu.Lock()
		defer collected.mu.Unlock()
		own, others = nil, nil
		for _, s := range collected.all {
			if s.Name == "rudder_session" {
				own = append(own, s)
			} else {
				others = append(others, s)
			}
		}
		return len(own) >= 2 && len(others) >= 2
	})
	if len(own) != 2 {
		t.Errorf("%d spans", len(own))
	}
	var got []string
	for _, s := range own {
		if !slices.ContainsFunc(others, func(parent *trace.Span) bool { return string(parent.SpanId) == string(s.ParentSpanId) }) {
			t.Errorf("%v is in no other span", s)
		}
		var attributes []string
		for _, a := range s.Attributes {
			value := a.Value.GetStringValue()
			if value == "" {
				value = fmt.Sprint(a.Value.GetIntValue())
			}
			attributes = append(attributes, strings.TrimPrefix(a.Key, "rudder_session.")+"="+value)
		}
		got = append(got, strings.Join(attributes, " "))
	}
	slices.Sort(got)
	if want := []string{
		"endpoint=batch outcome=changed shadow=0 events=2 stamped=1 cleared=0 untouched=1 consumed=0",
		"endpoint=startSession outcome=answered shadow=0 events=0 stamped=0 cleared=0 untouched=0 consumed=1",
	}; !slices.Equal(got, want) {
		t.Errorf("spans:\n%s", strings.Join(got, "\n"))
	}
}
