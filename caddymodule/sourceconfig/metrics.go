package sourceconfig

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// reason is why an answer was changed, or was not.
type reason string

const (
	// The body was read.
	removed      reason = "removed"
	replaced     reason = "replaced"
	noDataPlanes reason = "no_data_planes"
	// The answer was forwarded as it came.
	notModified   reason = "not_modified"
	otherStatus   reason = "status"
	streaming     reason = "streaming"
	otherType     reason = "content_type"
	otherEncoding reason = "encoding"
	tooLarge      reason = "too_large"
	notJSON       reason = "not_json"
	incomplete    reason = "incomplete"
)

func (r reason) read() bool { return r == removed || r == replaced || r == noDataPlanes }

func (r reason) outcome() string {
	switch r {
	case removed, replaced:
		return "changed"
	case noDataPlanes:
		return "unchanged"
	}
	return "passed"
}

// warning returns the text to log, "" for none: SDKs that get a source config that
// was not read may bypass the proxy. The text has no ids, and nothing that the control
// plane sent.
func (r reason) warning() string {
	switch r {
	case otherStatus:
		return "the control plane answered a request for a source config with another status than 200"
	case streaming, otherType:
		return "the control plane's answer is no JSON: it was forwarded as it came"
	case otherEncoding:
		return "the source config has an encoding that is not read, or is broken: it was forwarded as it came"
	case tooLarge:
		return "the source config is larger than max_body: it was forwarded as it came, with its data planes"
	case notJSON:
		return "the source config is no JSON object: it was forwarded as it came"
	}
	return ""
}

// answers is global so that it keeps its counts: Caddy makes a new registry for each
// configuration.
var answers = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "caddy", Subsystem: "rudder_session", Name: "source_configs_total",
	Help: "Answers to requests for a source config by what became of them and why.",
}, []string{"outcome", "reason"})

func count(why reason) { answers.WithLabelValues(why.outcome(), string(why)).Inc() }

func registerMetrics(registry *prometheus.Registry) error {
	var registered prometheus.AlreadyRegisteredError
	if err := registry.Register(answers); err != nil && !errors.As(err, &registered) {
		return err
	}
	return nil
}
