package enrich

import (
	"fmt"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestBorrowed: borrowed verdicts equal those that may be kept, request after request.
func TestBorrowed(t *testing.T) {
	bodies := []string{
		`{"batch":[{"type":"track","event":"caf\u00e9","anonymousId":"a","messageId":"1","context":{"sessionId":"1234567890","sessionStart":true}},{"type":"page","userId":" u ","channel":"server"},{"type":"merge"},{"type":"startSession","anonymousId":"a","sessionId":7}]}`,
		`{"batch":[{"type":"identify","anonymousId":"b","userId":"u","originalTimestamp":"2026-11-23T09:00:00Z"}],"sentAt":"2026-11-23T09:00:01Z"}`,
		`{"batch":[{"type":"track","event":"x","anonymousId":"a","context":[]},{"type":"track"}]}`,
	}
	said := func(borrowed bool) (all []string) {
		table := sessionstate.NewTable(memorystore.New(), sessionstate.Options{Settings: sessionstate.Settings{Capacity: 10}})
		defer table.Close()
		for i, body := range bodies {
			r := &Request{
				Endpoint: Batch, WriteKey: "wk", Received: int64(1_795_424_331_613 + i), MaxBody: 1 << 20, Borrowed: borrowed,
				Policy: &session.Policy{Timeout: 1_800_000, Automatic: session.AutomaticProxy},
				Observe: func(verdicts []Verdict) {
					for j := range verdicts {
						all = append(all, fmt.Sprintf("%+v", verdicts[j]))
					}
				},
			}
			Enrich(t.Context(), table, r, []byte(body))
		}
		return all
	}
	kept, borrowed := said(false), said(true)
	if len(kept) != 7 || fmt.Sprint(kept) != fmt.Sprint(borrowed) {
		t.Errorf("%v\nborrowed: %v", kept, borrowed)
	}
}
