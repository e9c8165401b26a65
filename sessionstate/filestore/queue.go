package filestore

import (
	"container/list"
	"sync"
)

// queue holds the jobs that wait for the writer, in a list for each source. Sources take
// turns, so that jobs of one do not delay those of others. The number of callers limits
// that of jobs.
type queue struct {
	mu       sync.Mutex
	bySource map[string]*list.List // of *job
	order    []string              // the sources with jobs, the next one to be served first
	n        int
	closed   bool
	filled   chan struct{} // signals that the writer may have something to do
}

func newQueue() *queue {
	return &queue{bySource: map[string]*list.List{}, filled: make(chan struct{}, 1)}
}

// add queues a job of a source.
func (q *queue) add(source string, j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.bySource[source]
	if waiting == nil {
		waiting = list.New()
		q.bySource[source] = waiting
		q.order = append(q.order, source)
	}
	j.queue, j.element = waiting, waiting.PushBack(j)
	q.n++
	q.signal()
}

// withdraw removes a job, unless the writer has taken it.
func (q *queue) withdraw(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.element != nil {
		j.queue.Remove(j.element)
		j.element = nil
		q.n--
	}
}

// close ends the writer once no job is left.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

// take waits for jobs, and removes and returns at most n, taking one of each source in
// turn. It returns none when the queue is closed and empty.
func (q *queue) take(n int) (jobs []*job) {
	for {
		q.mu.Lock()
		for len(q.order) > 0 && len(jobs) < n {
			source := q.order[0]
			q.order = q.order[1:]
			waiting := q.bySource[source]
			if front := waiting.Front(); front != nil {
				j := waiting.Remove(front).(*job)
				j.element = nil
				q.n--
				jobs = append(jobs, j)
			}
			if waiting.Len() == 0 {
				delete(q.bySource, source)
			} else {
				q.order = append(q.order, source)
			}
		}
		closed := q.closed
		q.mu.Unlock()
		if len(jobs) > 0 || closed {
			return jobs
		}
		<-q.filled
	}
}

// waiting returns how many jobs the writer has not taken.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}
