package integration_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestFiguresOfClientsThatGo logs how many of 100 events arrive, and how many of their
// sessions have a mark, when it is random at which point the server notices that a
// client is gone; compared with Caddy without the handler.
func TestFiguresOfClientsThatGo(t *testing.T) {
	const clients, atOnce = 100, 20
	for name, site := range map[string]string{
		"Caddy alone":                     "reverse_proxy $UPSTREAM",
		"the handler":                     "rudder_session {\nautomatic proxy\n}\nreverse_proxy $UPSTREAM",
		"the handler, finish_timeout 1ms": "rudder_session {\nautomatic proxy\nfinish_timeout 1ms\n}\nreverse_proxy $UPSTREAM",
	} {
		for _, way := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				p := run(t, proxytest.Setup{Global: "rudder_session {\nstore memory\n}", Site: site})
				proxytest.Serving.Reset()
				var all sync.WaitGroup
				for i := range atOnce {
					all.Go(func() {
						for j := range clients / atOnce {
							c := p.dial(t)
							body := proxytest.Event(fmt.Sprint(i, "-", j), "m1")
							io.WriteString(c, head("/v1/track", "Connection: close", fmt.Sprintf("Content-Length: %d\r\n", len(body)))+body)
							switch way {
							case "closes":
								c.Close()
							case "resets":
								proxytest.Serving.WaitBegun(1)
								c.SetLinger(0)
								c.Close()
							case "half-closes":
								c.CloseWrite()
								fallthrough
							default:
								http.ReadResponse(bufio.NewReader(c), nil)
							}
						}
					})
				}
				all.Wait()
				if way == "resets" {
					proxytest.Serving.Wait(1) // a stream that is reset earlier may never be read
				} else {
					proxytest.Serving.Wait(clients)
				}
				// Caddy alone also forwards incomplete bodies.
				arrived := slices.DeleteFunc(p.Plane.Take(), func(a *proxytest.Arrival) bool { return a.Err != nil })
				marked, got := 0, proxytest.Messages(t, arrived...)
				for _, m := range got {
					if m.Context.SessionStart != nil {
						marked++
					}
				}
				t.Logf("%d of %d events arrived, %d with a mark", len(got), clients, marked)
				if name == "the handler" && way != "resets" && len(got) != clients {
					t.Errorf("%d events arrived, %d with a mark", len(got), marked)
				}
			})
		}
	}
}
