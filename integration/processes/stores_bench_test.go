package processes_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// BenchmarkStores sends the same requests in turns through Caddys that differ only in
// their store, and prints requests a second and processor time for each request, relative
// to the Caddy with the memory store. Run it with -benchtime 1x; more are more rounds.
func BenchmarkStores(b *testing.B) {
	redis := redistest.Start(b)
	plane := proxytest.NewDataPlane(b)
	stores := []struct{ name, option string }{
		{"memory", "store memory"},
		{"file", "store file"},
		{"redis", "store redis " + redis.URL()},
		{"redis-strict", "store redis " + redis.URL() + " {\n prefix strict:\n consistency strict\n}"},
	}
	for _, traffic := range []struct {
		name string
		// before sets up the known users.
		before, body func(n int) (path, body string)
	}{
		// In manual sessions nothing changes.
		{"manual", startManual, oneEvent},
		{"manual-batch", startManual, hundredEvents},
		// Each event extends its automatic session.
		{"automatic", oneEvent, oneEvent},
		{"automatic-batch", oneEvent, hundredEvents},
		// Each event is a user's first: the proxy begins a session.
		{"new", nil, func(n int) (string, string) {
			return "/v1/track", proxytest.Event(fmt.Sprint("new", n), fmt.Sprint("m", n))
		}},
	} {
		b.Run(traffic.name, func(b *testing.B) {
			var processes []*process
			for _, store := range stores {
				p := startProcess(b, plane.Listener.Addr().String(), "rudder_session {\n"+store.option+"\n}", "automatic proxy")
				processes = append(processes, p)
				if traffic.before != nil {
					p.burst(b, knownUsers, 0, traffic.before)
				}
				p.burst(b, knownUsers/5, 0, traffic.body)
			}
			speed, cost := make([][]float64, len(stores)), make([][]float64, len(stores))
			sent := 0
			for range 11 * b.N {
				const requests = 2000
				for i, p := range processes {
					cpu, begun := p.cpu(b), time.Now()
					p.burst(b, requests, sent, traffic.body)
					elapsed := time.Since(begun)
					speed[i] = append(speed[i], requests/elapsed.Seconds())
					cost[i] = append(cost[i], float64((p.cpu(b)-cpu).Microseconds())/requests)
				}
				sent += requests
				plane.Take()
			}
			b.ReportMetric(0, "ns/op")
			for i, store := range stores {
				fmt.Printf("%-15s %-12s %6.0f requests/s, %5.2f of memory; %6.1f us of processor each, %5.2f of memory\n", traffic.name, store.name,
					median(speed[i]), median(speed[i])/median(speed[0]), median(cost[i]), median(cost[i])/median(cost[0]))
			}
		})
	}
}

const knownUsers = 10_000

func startManual(n int) (path, body string) {
	return "/v1/startSession", fmt.Sprintf(`{"anonymousId":"known%d"}`, n)
}

func oneEvent(n int) (path, body string) {
	return "/v1/track", proxytest.Event(fmt.Sprint("known", n%knownUsers), fmt.Sprint("m", n))
}

func hundredEvents(n int) (path, body string) {
	var events []string
	for i := range 100 {
		events = append(events, proxytest.Event(fmt.Sprint("known", (n*37+i)%knownUsers), fmt.Sprint(n, "-", i)))
	}
	return "/v1/batch", `{"batch":[` + strings.Join(events, ",") + `]}`
}

// burst sends requests, a few at the same time.
func (p *process) burst(b *testing.B, requests, first int, body func(n int) (string, string)) {
	b.Helper()
	var next atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= requests {
					return
				}
				if a, err := p.Send(body(first + n)); err != nil || a.Status != http.StatusOK {
					b.Error(a, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// cpu returns the processor time of the process so far.
func (p *process) cpu(b *testing.B) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid))
	if err != nil {
		b.Skip("processor time is known on Linux alone: ", err)
	}
	// The name, in parentheses, may have spaces; utime and stime are the 14th and
	// 15th field, in hundredths of a second.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks := 0
	for _, field := range fields[11:13] {
		n, _ := strconv.Atoi(field)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}
