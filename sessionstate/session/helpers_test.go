package session_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

func TestMain(m *testing.M) {
	sessiontest.DefaultChecks(400)
	os.Exit(m.Run())
}

// t0 is where the histories begin, in Unix milliseconds.
const (
	t0     int64 = 1_700_000_000_000
	base         = t0
	second int64 = 1000
	minute       = 60 * second
	hour         = 60 * minute
	day          = 24 * hour
)

// original returns the timestamps of a message with an originalTimestamp and no sentAt:
// its clock is not known, and the timestamp is taken as it is.
func original(at int64) Timestamps { return Timestamps{Original: at, HasOriginal: true} }

func request(now int64, p *Policy, events []Event) *Request {
	return &Request{Received: now, Policy: p, Events: events}
}

// bare returns a decision without its explanation.
func bare(d Decision) Decision {
	return Decision{Action: d.Action, SessionID: d.SessionID, Start: d.Start, Repeated: d.Repeated}
}

// show describes a decision in words.
func show(d Decision) string {
	var b strings.Builder
	b.WriteString(d.Action.String())
	if d.SessionID != 0 {
		fmt.Fprintf(&b, " %d", d.SessionID)
	}
	if d.Start {
		b.WriteString(" start")
	}
	if d.Repeated {
		b.WriteString(" repeated")
	}
	return b.String()
}

func showAll(all []Decision) string {
	var words []string
	for _, d := range all {
		words = append(words, show(d))
	}
	return strings.Join(words, ", ")
}
