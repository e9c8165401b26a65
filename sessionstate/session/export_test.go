package session

// For tests from outside the package.
var (
	Observe    = observe[string]
	IntervalAt = intervalAt[string]
)
