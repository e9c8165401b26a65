package sessionstate

// For tests from outside the package.
const (
	MaxDelayed    = maxDelayed
	WriteChunk    = writeChunk
	MaxWaitBudget = maxWaitBudget
)
