package sessionstate

import (
	"fmt"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// The cost of remembering lags when many keys take turns, so that their slots are in
// none of the processor's caches.
func BenchmarkLags(b *testing.B) {
	var table lagTable
	keys := make([]string, 20_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("667bad4e-5ae6-4418-b1c8-%012d", i*7919%len(keys))
	}
	r := &session.Request{Received: 1_700_000_000_000, Events: []session.Event{{
		Times: session.Timestamps{Original: 1_699_999_999_000, Sent: 1_699_999_999_900, HasOriginal: true, HasSent: true},
	}}}
	var known session.Lags
	for n := 0; b.Loop(); n++ {
		table.observe(keys[n%len(keys)], r, &known, false)
	}
}
