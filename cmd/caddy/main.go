// Command caddy is Caddy with the rudder_session module in it.
package main

import (
	"os"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/rudder-session/rudder-session"
)

// ballast is memory that is never touched, and so takes none. The garbage
// collector runs when as much was allocated as is in use: without it, that is
// every few megabytes of bodies as long as there are few sessions, and a sixth
// of the processor's time.
var ballast []byte

func main() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		ballast = make([]byte, 64<<20)
	}
	caddycmd.Main()
}
