package sessionstate

// For tests from outside the package.
const (
	WriteChunk    = writeChunk
	MaxWaitBudget = maxWaitBudget
)

// LimitDelayed makes the queues of tables shorter, until back is called.
func LimitDelayed(n int) (back func()) {
	before := maxDelayed
	maxDelayed = n
	return func() { maxDelayed = before }
}

// AllocateFixed allocates the parts of a table whose size does not depend on the number
// of sessions.
func (t *Table) AllocateFixed() {
	for i := range t.lags.shards {
		t.lags.shards[i].set(0)
	}
}
