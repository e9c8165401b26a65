package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestImportIntoAStoreWithShortFaults: writes that fail for a moment, or are carried
// out without an answer, neither end an import nor are lost or counted wrongly.
func TestImportIntoAStoreWithShortFaults(t *testing.T) {
	const sessions = 50
	var records strings.Builder
	for i := range sessions {
		fmt.Fprintf(&records, `{"write_key":"wk1","anonymous_id":"user %d","version":1700000000000000,"seen":%d,`+
			`"segments":[{"mode":"manual","from":1700000000000,"session_id":%d,"origin":"control"}]}`+"\n", i, time.Now().UnixMilli(), 1111111111+i)
	}
	eachKind(t, func(t *testing.T, f *faults, _ string, setup func(string) proxytest.Setup) {
		s := setup("")
		s.Global = "admin 127.0.0.1:$PORT2\n" + s.Global
		p := run(t, s)
		for name, fault := range map[string]*atomic.Int32{"refused": &f.failures, "unanswered": &f.unanswered} {
			for i := range sessions {
				p.admin(t, "POST", "forget", fmt.Sprintf(`{"anonymous_id":"user %d"}`, i))
			}
			fault.Store(sessions / 2)
			got := p.admin(t, "POST", "import", records.String())
			if want := fmt.Sprintf(`{"read":%d,"written":%[1]d}`, sessions); got.Status != http.StatusOK || strings.TrimSpace(got.Body) != want {
				t.Errorf("%s: %d %s", name, got.Status, got.Body)
			}
			if left := fault.Load(); left >= 0 {
				t.Errorf("%s: %d writes were not made", name, left)
			}
			for i := range sessions {
				if got := p.echoes(t, fmt.Sprintf(`{"anonymousId":"user %d","event":"x"}`, i)); !strings.Contains(got, fmt.Sprint(1111111111+i)) {
					t.Errorf("%s: %s", name, got)
				}
			}
		}
	})
}
