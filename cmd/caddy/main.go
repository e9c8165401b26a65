// Command caddy is Caddy with the rudder_session module in it.
package main

import (
	"os"

	"github.com/KimMachineGun/automemlimit/memlimit"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/rudder-session/rudder-session"
)

// ballast is memory that is never touched, and so takes none. The garbage
// collector runs when as much was allocated as is in use: without it, that is
// every few megabytes of bodies as long as there are few sessions, a sixth of
// the processor's time; and what it delays is among the slowest hundredth of
// requests as soon as it runs more often than every other second.
var ballast []byte

// ballastPart is which part of the memory that there is may be garbage for it,
// up to mostBallast.
const ballastPart, mostBallast = 16, 256 << 20

func main() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		there, err := memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)()
		if err == nil {
			ballast = make([]byte, min(there/ballastPart, mostBallast))
		}
	}
	caddycmd.Main()
}
