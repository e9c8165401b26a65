package sessiontest

import "sync"

// Together runs f in n goroutines that start at the same time, and returns when all of
// them have ended.
func Together(n int, f func(i int)) {
	var begin, done sync.WaitGroup
	begin.Add(1)
	for i := range n {
		done.Go(func() {
			begin.Wait()
			f(i)
		})
	}
	begin.Done()
	done.Wait()
}
