package enrich

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// BenchmarkRatio measures the throughput of validation and enrichment together, relative
// to the data plane's validator alone. Both run in turns of a millisecond, so that other
// work of the machine affects both equally.
//
//	go test -run '^$' -bench Ratio -benchtime 1x ./enrich
func BenchmarkRatio(b *testing.B) {
	for _, shape := range []struct {
		name          string
		events, users int
	}{{"1", 1, 1}, {"100", 100, 1}, {"100users", 100, 100}} {
		b.Run(shape.name, func(b *testing.B) {
			table, r := benchTable(b, shape.users)
			body := realBatch(shape.events, shape.users)
			if shape.events == 1 {
				r.Endpoint = Track
				body = []byte(realEvent(0, 0))
			}
			same := Enrich(context.Background(), table, r, body).Body.Bytes()
			var d document
			medians := inTurns(b,
				func() { gjson.ValidBytes(body) },
				func() { Enrich(context.Background(), table, r, body) },
				func() { Enrich(context.Background(), table, r, same) },
				func() {
					w := works.Get().(*work)
					w.parse(r, body)
					w.free()
				},
				func() {
					d.reset(body)
					d.scanValue(0, 0)
				},
				func() { d.reset(body) })
			for i, name := range []string{"enriched", "unchanged", "parsed", "scanned", "marked"} {
				b.ReportMetric(medians[0]/medians[i+1], name+"/valid")
			}
			b.ReportMetric(float64(len(body))/medians[1]/1e6, "MB/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkFollowing measures how much longer a request takes if users' events follow
// their devices: a request of devices, and one of a backend, which is compared with one
// whose users have the same sessions themselves. In turns as well.
//
//	go test -run '^$' -bench Following -benchtime 1x ./enrich
func BenchmarkFollowing(b *testing.B) {
	for _, events := range []int{1, 100} {
		b.Run(strconv.Itoa(events), func(b *testing.B) {
			off, plain := benchTable(b, events)
			on, follow := followTable(b, events)
			for i := range events {
				start := *plain
				start.Endpoint, start.Received = StartSession, benchNow-60000
				if _, _, err := Control(context.Background(), off, &start, []byte(fmt.Sprintf(`{"userId":"user-%08d"}`, i))); err != nil {
					b.Fatal(err)
				}
			}
			devices, backend := realBatch(events, events), backendBatch(events)
			medians := inTurns(b,
				func() { Enrich(context.Background(), off, plain, devices) },
				func() { Enrich(context.Background(), on, follow, devices) },
				func() { Enrich(context.Background(), off, plain, backend) },
				func() {
					if result := Enrich(context.Background(), on, follow, backend); result.Stamped != events {
						b.Fatalf("%+v", result.Outcome)
					}
				})
			b.ReportMetric(medians[1]/medians[0], "devices-on/off")
			b.ReportMetric(medians[3]/medians[2], "backend-on/off")
			b.ReportMetric((medians[1]-medians[0])/float64(events)*1e9, "ns/device-event")
			b.ReportMetric((medians[3]-medians[2])/float64(events)*1e9, "ns/backend-event")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// followTable is a benchTable with follow_user, in which each user has a device.
func followTable(tb testing.TB, users int) (*sessionstate.Table, *Request) {
	table, r := benchTable(tb, users)
	r.Follow = true
	if result := Enrich(context.Background(), table, r, realBatch(users, users)); result.Stamped != users {
		tb.Fatalf("%+v", result.Outcome)
	}
	return table, r
}

// backendBatch is realBatch as a backend would send it.
func backendBatch(users int) []byte {
	return bytes.ReplaceAll(realBatch(users, users), []byte(`"channel":"web","context":{`), []byte(`"channel":"server","context":{`))
}

// BenchmarkGrowth measures the cost of an event in batches of different sizes, in turns
// as well. Each event is of another user.
func BenchmarkGrowth(b *testing.B) {
	sizes := []int{10, 100, 1000}
	var fns []func()
	for _, n := range sizes {
		table, r := benchTable(b, n)
		body := realBatch(n, n)
		fns = append(fns, func() { Enrich(context.Background(), table, r, body) })
	}
	for i, median := range inTurns(b, fns...) {
		b.ReportMetric(median*1e9/float64(sizes[i]), fmt.Sprintf("ns/event-of-%d", sizes[i]))
	}
	b.ReportMetric(0, "ns/op")
}

// inTurns returns the median time that each of the functions takes, in seconds.
func inTurns(b *testing.B, fns ...func()) []float64 {
	const turn = time.Millisecond
	calls, times := make([]int, len(fns)), make([][]float64, len(fns))
	for i, f := range fns {
		for begin := time.Now(); time.Since(begin) < turn || calls[i] < 10; calls[i]++ {
			f()
		}
	}
	for range 1000 * b.N {
		for i, f := range fns {
			begin := time.Now()
			for range calls[i] {
				f()
			}
			times[i] = append(times[i], time.Since(begin).Seconds()/float64(calls[i]))
		}
	}
	medians := make([]float64, len(fns))
	for i := range fns {
		slices.Sort(times[i])
		medians[i] = times[i][len(times[i])/2]
	}
	return medians
}
