// Command caddy is Caddy with the rudder_session module in it.
package main

import (
	"os"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/rudder-session/rudder-session"
	"github.com/rudder-session/rudder-session/internal/gcpercent"
)

func main() {
	gcpercent.Tune(os.Args[1:], os.Getenv)
	caddycmd.Main()
}
