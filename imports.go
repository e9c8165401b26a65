// Package ruddersession adds the rudder_session module, with its default store,
// the admin API, the commands and the inspector, to the Caddy that imports it:
//
//	xcaddy build --with github.com/rudder-session/rudder-session
package ruddersession

import (
	_ "github.com/rudder-session/rudder-session/caddymodule"
	_ "github.com/rudder-session/rudder-session/caddymodule/adminapi"
	_ "github.com/rudder-session/rudder-session/caddymodule/admincli"
	_ "github.com/rudder-session/rudder-session/caddymodule/inspector"
	_ "github.com/rudder-session/rudder-session/caddymodule/sourceconfig"
	_ "github.com/rudder-session/rudder-session/caddymodule/stores/file"
)
