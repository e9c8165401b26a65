package redisstore_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// BenchmarkVisibility measures how long another table still gives events the previous
// session after one table has answered startSession.
func BenchmarkVisibility(b *testing.B) {
	server := redistest.Start(b)
	for _, strict := range []bool{false, true} {
		name := "eventual"
		if strict {
			name = "strict"
		}
		b.Run(name, func(b *testing.B) {
			tables := openTables(b, 2, redisstore.Options{URLs: []string{server.URL()}, Strict: strict})
			var took []time.Duration
			for b.Loop() {
				// Both have the previous session cached, as for an active user.
				send(b, tables[1], "key", session.Other)
				id := send(b, tables[0], "key", session.Start).SessionID
				answered := time.Now()
				for asked := answered; ; asked = time.Now() {
					if send(b, tables[1], "key", session.Other).SessionID == id {
						// The state at the time when the event was sent counts.
						took = append(took, asked.Sub(answered))
						break
					}
				}
			}
			slices.Sort(took)
			at := func(share float64) float64 {
				return float64(took[int(share*float64(len(took)-1))].Nanoseconds()) / 1000
			}
			b.ReportMetric(at(0.5), "p50-µs")
			b.ReportMetric(at(0.99), "p99-µs")
			b.ReportMetric(at(1), "max-µs")
		})
	}
}
