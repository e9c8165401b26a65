package sessionstate

import (
	"strconv"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestLagsOfTwoClocks: the clocks of a key are remembered separately, and a read
// evicts nothing.
func TestLagsOfTwoClocks(t *testing.T) {
	var table lagTable
	request := func(received, sent int64, server bool) *session.Request {
		return &session.Request{Received: received, Events: []session.Event{{
			Server: server, Times: session.Timestamps{Original: sent, Sent: sent, HasOriginal: true, HasSent: true},
		}}}
	}
	var known session.Lags
	table.observe("key", request(1000, 900, false), &known, false)
	table.observe("key", request(2000, 1500, true), &known, false)
	if known.Of(session.DeviceClock).Newest() != (session.Lag{Lag: 100, At: 1000}) || known.Of(session.ServerClock).Newest().At != 0 {
		t.Errorf("before the second: %v", known)
	}
	other := request(3000, 3000, false)
	for i := range 50_000 {
		table.observe("other "+strconv.Itoa(i), other, new(session.Lags), true)
	}
	table.observe("key", request(4000, 4000, false), &known, true)
	if known.Of(session.DeviceClock).Newest() != (session.Lag{Lag: 100, At: 1000}) || known.Of(session.ServerClock).Newest() != (session.Lag{Lag: 500, At: 2000}) {
		t.Errorf("after looks at others: %v", known)
	}
	// Many other keys evict it: so many that each set gets far more than it has places.
	for i := range 300_000 {
		table.observe("other "+strconv.Itoa(i), other, new(session.Lags), false)
	}
	table.observe("key", request(4000, 4000, false), &known, true)
	if known.Of(session.DeviceClock).Newest().At != 0 || known.Of(session.ServerClock).Newest().At != 0 {
		t.Errorf("after many others: %v", known)
	}
}
