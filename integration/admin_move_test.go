package integration_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/redistest"
)

// TestAdminMovesSessions exports from each store and imports into each other.
func TestAdminMovesSessions(t *testing.T) {
	// There are two sessions for each user, more than are imported at once.
	const users = 150
	redis := redistest.Start(t)
	stores := map[string]func(*testing.T) string{
		"memory": func(*testing.T) string { return "memory" },
		"file":   func(t *testing.T) string { return "file " + filepath.Join(t.TempDir(), "s.db") },
		"redis": func(t *testing.T) string {
			return "redis " + redis.URL() + " {\nprefix " + strconv.Itoa(int(time.Now().UnixNano())) + ":\n}"
		},
	}
	fill := func(t *testing.T, p *proxy) {
		t.Helper()
		for i := range users {
			p.Start(t, fmt.Sprint("user ", i), int64(1111111111+i))
			p.Post(t, "/v1/track", fmt.Sprintf(`{"anonymousId":"user %d","userId":"u%d","event":"x"}`, i, i))
			if i%3 == 0 {
				p.Post(t, "/v1/endSession", fmt.Sprintf(`{"anonymousId":"user %d"}`, i))
			}
		}
		p.Post(t, "/v1/startSession", `{"userId":"\u0000\ud800 odd"}`)
	}
	export := func(t *testing.T, p *proxy) []string {
		t.Helper()
		got := p.admin(t, "GET", "export", "")
		if got.Status != http.StatusOK || got.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Fatal(got.Status, got.Header, got.Body)
		}
		lines := strings.Split(strings.TrimSpace(got.Body), "\n")
		slices.Sort(lines)
		return lines
	}
	exported := map[string][]string{}
	for from, fromStore := range stores {
		for to, toStore := range stores {
			t.Run(from+" to "+to, func(t *testing.T) {
				if exported[from] == nil {
					t.Run("export", func(t *testing.T) {
						p := run(t, withAdmin(fromStore(t), "follow_user"))
						fill(t, p)
						exported[from] = export(t, p)
					})
				}
				all := exported[from]
				if len(all) != 2*users+1 {
					t.Fatalf("%d sessions", len(all))
				}
				p := run(t, withAdmin(toStore(t), "follow_user"))
				// A session that is there already is not written again.
				if got := p.admin(t, "POST", "import", all[users]); strings.TrimSpace(got.Body) != `{"read":1,"written":1}` {
					t.Fatal(got.Body)
				}
				if got := p.admin(t, "POST", "import", strings.Join(all, "\n")); strings.TrimSpace(got.Body) != fmt.Sprintf(`{"read":%d,"written":%d}`, len(all), len(all)-1) {
					t.Fatal(got.Body)
				}
				if got := export(t, p); !slices.Equal(got, all) {
					t.Errorf("%d came, another than went", len(got))
				}
				// A newer session is not replaced.
				p.Now = time.Now().Add(time.Hour)
				p.Start(t, "user 1", 2222222222)
				if got := p.admin(t, "POST", "import", strings.Join(all, "\n")); strings.TrimSpace(got.Body) != fmt.Sprintf(`{"read":%d,"written":0}`, len(all)) {
					t.Error(got.Body)
				}
				if got := p.echoes(t, `{"anonymousId":"user 1","event":"x"}`); !strings.Contains(got, "2222222222") {
					t.Error(got)
				}
				for _, id := range []string{`"anonymousId":"user 2"`, `"userId":"u2"`} {
					if got := p.echoes(t, `{`+id+`,"event":"x"}`); !strings.Contains(got, "1111111113") {
						t.Error(got)
					}
				}
			})
		}
	}
}
