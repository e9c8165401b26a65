package sessionstate

// For tests from outside the package.
const (
	MaxDelayed    = maxDelayed
	WriteChunk    = writeChunk
	MaxWaitBudget = maxWaitBudget
)

// AllocateFixed allocates what a table has in memory of a fixed size, whatever the
// number of sessions.
func (t *Table) AllocateFixed() {
	for i := range t.lags.shards {
		t.lags.shards[i].set(0)
	}
}
