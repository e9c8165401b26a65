package caddymodule_test

import (
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestHandlerAlone: this package registers the handler, the app and the memory store. All
// other modules are only linked if their packages are imported.
func TestHandlerAlone(t *testing.T) {
	for id, want := range map[string]bool{
		"rudder_session":                         true,
		"rudder_session.stores.memory":           true,
		"http.handlers.rudder_session":           true,
		"http.handlers.rudder_session_inspector": false,
		"admin.api.rudder_session":               false,
	} {
		if _, err := caddy.GetModule(id); (err == nil) != want {
			t.Errorf("%s: there: %v, want %v", id, err == nil, want)
		}
	}
}
