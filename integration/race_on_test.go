//go:build race

package integration_test

// raceFlags has processes that tests start watched for races, as they are.
var raceFlags = []string{"-race"}
