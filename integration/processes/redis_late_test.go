package processes_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// TestLateEventsOverTwoProxies: a device that was offline sends the events of the last
// hour, half of them through another proxy. They are one session with one mark.
func TestLateEventsOverTwoProxies(t *testing.T) {
	server := redistest.Start(t)
	plane := proxytest.NewDataPlane(t)
	plane.ReplyWith(proxytest.Echo)
	proxies := startFleet(t, 2, plane.Listener.Addr().String(),
		"rudder_session {\n store redis "+server.URL()+" {\n timeout 10s\n}\n}", "automatic proxy")
	for user := range 5 {
		sessions, marks := map[string]bool{}, 0
		for i, minutes := range []int{60, 40, 20, 0} {
			now := time.Now().UTC()
			body := fmt.Sprintf(`{"type":"track","event":"e","anonymousId":"user %d","messageId":"%d-%d","originalTimestamp":%q,"sentAt":%q}`,
				user, user, i, now.Add(-time.Duration(minutes)*time.Minute).Format(time.RFC3339Nano), now.Format(time.RFC3339Nano))
			a, err := proxies.get(i/2).Send("/v1/track", body)
			if err != nil {
				t.Fatal(err)
			}
			var m proxytest.Message
			if err := json.Unmarshal([]byte(a.Body), &m); err != nil {
				t.Fatal(err, a)
			}
			sessions[m.Context.SessionID.String()] = true
			if m.Context.SessionStart != nil {
				marks++
			}
		}
		if len(sessions) != 1 || marks != 1 {
			t.Errorf("%d sessions, %d marks", len(sessions), marks)
		}
	}
}
