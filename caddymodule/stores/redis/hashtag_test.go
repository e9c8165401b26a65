package redis_test

import (
	"testing"

	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestPrefixes: a hash tag in a prefix is kept, however it is written, and placeholders
// are replaced.
func TestPrefixes(t *testing.T) {
	setEnv(t)
	server := redistest.Start(t)
	for prefix, want := range map[string]string{
		`{tag}:`:                               `{tag}:`,
		`a{tag}b{c}`:                           `a{tag}b{c}`,
		`{tag}{more}`:                          `{tag}{more}`,
		`\\{tag\\}:`:                           `{tag}:`,
		`\\{a.b\\}:`:                           `{a.b}:`,
		`{}x`:                                  `{}x`,
		`12345678901234567890`:                 `12345678901234567890`,
		`{env.RUDDER_SESSION_TEST_NAME}{tag}:`: `sessions{tag}:`,
	} {
		options := `"urls": ["` + server.URL() + `/"], "prefix": "` + prefix + `", "timeout": "10s"`
		store, err := provisioned(t, options).Open(zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		change := []sessionstate.Swap{{Key: "key", Next: &session.Session{Version: 1}}}
		store.CompareAndSwap(t.Context(), change)
		if got := server.Do("EXISTS", want+"key"); got != "1" {
			t.Errorf("prefix %s: there is no %s (%v)", prefix, want+"key", change[0].Err)
		}
		store.Close()
		server.Do("FLUSHALL")
	}
}
