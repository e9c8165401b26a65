package sessiontest

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

// DefaultChecks sets how many random cases rapid draws for each property, unless that is
// said on the command line (-rapid.checks), in the environment (RAPID_CHECKS) or by
// -short. It is for TestMain. The cases are small, and a change is tested with the same
// ones each time: the rare ones are found by the nightly job, which draws many more.
func DefaultChecks(n int) {
	flag.Parse()
	said := os.Getenv("RAPID_CHECKS") != "" || testing.Short()
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "rapid.checks" })
	if said {
		return
	}
	if err := flag.Set("rapid.checks", strconv.Itoa(n)); err != nil {
		panic(err)
	}
}
