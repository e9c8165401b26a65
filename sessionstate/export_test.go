package sessionstate

// For tests from outside the package.
const (
	MaxDelayed    = maxDelayed
	WriteChunk    = writeChunk
	MaxWaitBudget = maxWaitBudget
)

// AllocateFixed allocates the parts of a table whose size does not depend on the number
// of sessions.
func (t *Table) AllocateFixed() {
	for i := range t.lags.shards {
		t.lags.shards[i].set(0)
	}
}
