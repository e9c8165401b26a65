// Package gcpercent sets how often a Caddy with the module collects garbage.
package gcpercent

import "runtime/debug"

// percent is how much may be allocated between two garbage collections, in
// percent of what was in use after the one before. Go's default, 100, has a Caddy
// with few sessions collect every few megabytes of bodies, which takes an eighth of
// the processor's time.
const percent = 400

// Tune sets the garbage collector of a server, according to the arguments of the
// program, unless the environment sets it. How much memory there is, Caddy tells Go
// itself when it runs: near that limit Go collects more often, whatever the percentage.
func Tune(args []string, env func(string) string) {
	if len(args) > 0 && args[0] == "run" && env("GOGC") == "" && env("GOMEMLIMIT") == "" {
		debug.SetGCPercent(percent)
	}
}
