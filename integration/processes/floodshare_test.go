package processes_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// BenchmarkFloodOfNewIDs sends new ids under one write key, in batches, at a rate of
// RUDDER_SESSION_FLOOD (30000) a second, and counts the results of control calls and of
// new users under another write key. Run it with -benchtime 1x.
func BenchmarkFloodOfNewIDs(b *testing.B) {
	rate := 30_000
	if n, err := strconv.Atoi(os.Getenv("RUDDER_SESSION_FLOOD")); err == nil {
		rate = n
	}
	const batch, probes = 100, 128
	plane := proxytest.NewDataPlane(b)
	plane.ReplyWith(proxytest.Echo)
	p := startProcess(b, plane.Listener.Addr().String(), "rudder_session {\nstore file\n}", "automatic proxy")
	send := func(writeKey, path, body string) (int, string) {
		r, err := http.NewRequest(http.MethodPost, "http://"+p.Address()+path, strings.NewReader(body))
		if err != nil {
			b.Error(err)
			return 0, ""
		}
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(writeKey+":")))
		got, err := proxytest.Exchange(p.Client, r)
		if err != nil {
			return 0, err.Error()
		}
		return got.Status, got.Body
	}
	for range b.N {
		var stop atomic.Bool
		var sent, next atomic.Int64
		var flood sync.WaitGroup
		begun := time.Now()
		for range 64 {
			flood.Go(func() {
				for !stop.Load() {
					n := next.Add(batch)
					if wait := time.Until(begun.Add(time.Duration(n) * time.Second / time.Duration(rate))); wait > 0 {
						time.Sleep(wait)
					}
					var body strings.Builder
					for i := range int64(batch) {
						fmt.Fprintf(&body, ",%s", proxytest.Event(fmt.Sprint("flood", begun.UnixNano(), n+i), "m"))
					}
					send("flood", "/v1/batch", `{"batch":[`+body.String()[1:]+`]}`)
					sent.Add(batch)
				}
			})
		}
		var refused, unstamped, calls atomic.Int64
		var slowest atomic.Int64
		var probing sync.WaitGroup
		for i := range probes {
			time.Sleep(60 * time.Millisecond)
			probing.Go(func() {
				calls.Add(1)
				at := time.Now()
				if status, _ := send("shop", "/v1/startSession", fmt.Sprintf(`{"anonymousId":"caller%d-%d"}`, i, begun.UnixNano())); status != http.StatusOK {
					refused.Add(1)
				}
				if took := time.Since(at).Milliseconds(); took > slowest.Load() {
					slowest.Store(took)
				}
				if _, body := send("shop", "/v1/track", proxytest.Event(fmt.Sprint("new", i, begun.UnixNano()), "m")); !strings.Contains(body, "sessionStart") {
					unstamped.Add(1)
				}
			})
		}
		probing.Wait()
		stop.Store(true)
		flood.Wait()
		b.ReportMetric(0, "ns/op")
		fmt.Printf("%.0f new ids a second; of %d control calls %d refused, of as many new users %d not stamped; slowest call %d ms\n",
			float64(sent.Load())/time.Since(begun).Seconds(), calls.Load(), refused.Load(), unstamped.Load(), slowest.Load())
	}
}
