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
	// The single-event endpoints. The endpoint, not the body, gives the event's type.
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

// Endpoints is the number of endpoints.
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

// ParseEndpoint parses the name of an endpoint.
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
	// WriteKey is the source's write key. It is a part of every session key, unless
	// Share is set: then a session belongs to the id alone.
	WriteKey string
	Share    bool
	// Follow gives events of a user without a device the session of the device where
	// the user was last active.
	Follow bool
	// Serial is a number that differs for each request. It distinguishes equal events
	// that have neither a messageId nor a time.
	Serial uint64
	// Received is when the request arrived, in Unix milliseconds.
	Received int64
	// MaxBody is the size of the largest body that the data plane accepts, in bytes.
	MaxBody int
	// MaxStarts is how many sessions the control calls of one key may begin in a
	// minute; 0 for no limit.
	MaxStarts int
	Names     Names
	Policy    *session.Policy
	// Shadow: decide everything, but change no event.
	Shadow bool
	// DryRun: decide everything, as Shadow does, but change no session either.
	DryRun bool
	// Stored: the body is one message as the data plane stores it, not as an SDK sent
	// it. The message says its type itself; Endpoint must be Batch.
	Stored bool
	// KeepControls: control calls are not cut out, but get a first member
	// "rudderSessionControl" with the name of the call.
	KeepControls bool
	// Observe, if not nil, is called with the verdicts about all messages, in the
	// order of the body, before Enrich or Control returns. It may keep them, unless
	// Borrowed is set: then they and their texts are valid until it returns, and take
	// no memory of their own.
	Observe  func([]Verdict)
	Borrowed bool
}
