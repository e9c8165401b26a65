// Command cmd prints how many sessions have an event that is taken for another
// session's, by the code that the proxy runs, in a simulation of devices, their
// clocks and their networks.
//
//	go run ./internal/clocksim/cmd -sessions 100000
package main

import (
	"flag"
	"log"
	"os"

	"github.com/rudder-session/rudder-session/internal/clocksim"
)

func main() {
	sessions := flag.Int("sessions", 100_000, "how many sessions a row")
	seed := flag.Uint64("seed", 1, "of the random numbers: the same has the same result")
	flag.Parse()
	if err := clocksim.Print(os.Stdout, *sessions, *seed); err != nil {
		log.Fatal(err)
	}
}
