package enrich

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Endpoint is what a request was sent to.
type Endpoint uint8

const (
	// Batch: /v1/batch and /beacon/v1/batch. Each message names its own type.
	Batch Endpoint = iota
	// The single-event endpoints. They, not the body, say the event's type.
	Identify
	Track
	Page
	Screen
	Group
	Alias
	// The control endpoints. The body is one message.
	StartSession
	EndSession
	ResetSession
)

// Endpoints is how many there are.
const Endpoints = ResetSession + 1

var endpointNames = [Endpoints]string{
	"batch", "identify", "track", "page", "screen", "group", "alias",
	"startSession", "endSession", "resetSession",
}

// String is the last part of the endpoint's path.
func (e Endpoint) String() string {
	if e >= Endpoints {
		return "unknown"
	}
	return endpointNames[e]
}

// ParseEndpoint reads the name of an endpoint.
func ParseEndpoint(name string) (Endpoint, error) {
	i := slices.Index(endpointNames[:], name)
	if i < 0 {
		return 0, fmt.Errorf("endpoint: %q is none of %s", name, strings.Join(endpointNames[:], ", "))
	}
	return Endpoint(i), nil
}

// Control reports whether it is a control endpoint.
func (e Endpoint) Control() bool { return e >= StartSession && e < Endpoints }

// Names are the event names by which a track is a control call.
type Names struct{ Start, End, Reset string }

// Request is one request, without its body.
type Request struct {
	Endpoint Endpoint
	// WriteKey is the source's write key. It is a part of every session key, but
	// where Share is set: then a session belongs to the id alone.
	WriteKey string
	Share    bool
	// Follow has events of a user and no device take the session of the device
	// where the user was last active.
	Follow bool
	// Serial is any number, another one for each request: it tells events apart
	// that nothing else does.
	Serial uint64
	// Received is when the request arrived, in Unix milliseconds.
	Received int64
	// MaxBody is how many bytes a body may have for the data plane to take it.
	MaxBody int
	// MaxStarts is how many sessions the control calls of one key may begin in a
	// minute; 0 for any number.
	MaxStarts int
	Names     Names
	Policy    *session.Policy
	// Shadow decides everything and changes no event.
	Shadow bool
	// DryRun decides everything, as Shadow does, and changes no session either.
	DryRun bool
	// Observe, if not nil, is told what was decided about each message, in the
	// order of the body, before the request goes on. Nothing of what it is told
	// is used again.
	Observe func([]Verdict)
}
