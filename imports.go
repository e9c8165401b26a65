// Package ruddersession adds the rudder_session module, with its default store,
// to the Caddy that imports it:
//
//	xcaddy build --with github.com/rudder-session/rudder-session
package ruddersession

import (
	_ "github.com/rudder-session/rudder-session/caddymodule"
	_ "github.com/rudder-session/rudder-session/caddymodule/sourceconfig"
	_ "github.com/rudder-session/rudder-session/caddymodule/stores/file"
)
