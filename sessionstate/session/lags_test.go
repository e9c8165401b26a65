package session_test

import (
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

// Clocks drift, here by 10 ms between requests, so the smallest lag ever seen must not
// be carried along with each write. It counts while it is from one of the last four
// requests, or, for a process that remembers none itself, from the last half hour.
func TestStoredLagsGrowOld(t *testing.T) {
	const minute = 60_000
	for _, c := range []struct {
		name            string
		every           int64
		remembers       bool
		requests, drift int64
	}{
		{"four requests", 1000, true, 4, 40},
		{"half an hour", 10 * minute, true, 3, 30},
		{"half an hour, each in another process", 10 * minute, false, 3, 30},
	} {
		var s *Session
		var lags Lags
		for i := range int64(20) {
			at, lag := base+i*c.every, 10*i
			start := Event{Kind: Start, Message: MessageID(i + 1), Times: Timestamps{
				Original: at - lag, Sent: at - lag, HasOriginal: true, HasSent: true,
			}}
			known := lags
			if c.remembers {
				lags.Observe(DeviceClock, lag, at)
			}
			var d [1]Decision
			s, _ = Transition(s, &Request{Received: at, Policy: &policy, Lags: &known, Events: []Event{start}}, d[:])
			if d[0].Way > lag || d[0].Way < lag-c.drift {
				t.Errorf("%s, request %d: the way is %d, not between %d and %d", c.name, i, d[0].Way, lag-c.drift, lag)
			}
			if got := s.Lags[0]; got.At < at-c.requests*c.every || got.Lag != (got.At-base)/c.every*10 {
				t.Errorf("%s, request %d: %+v is stored", c.name, i, got)
			}
		}
	}
}
