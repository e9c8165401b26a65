package filestore

import (
	"container/list"
	"sync"
)

// queue has the jobs that wait for the writer, by the source that they are of.
// Those of one source wait behind each other and sources take turns, so that
// nobody fills the queue for others. As many wait as there are callers.
type queue struct {
	mu     sync.Mutex
	lanes  map[string]*list.List // of *job
	order  []string              // the sources that have jobs, in the order of their turns
	n      int
	closed bool
	filled chan struct{} // there may be something to do
}

func newQueue() *queue {
	return &queue{lanes: map[string]*list.List{}, filled: make(chan struct{}, 1)}
}

// add has a job wait.
func (q *queue) add(source string, j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lane := q.lanes[source]
	if lane == nil {
		lane = list.New()
		q.lanes[source] = lane
		q.order = append(q.order, source)
	}
	j.lane, j.place = lane, lane.PushBack(j)
	q.n++
	q.signal()
}

// withdraw takes back a job that the writer has not taken.
func (q *queue) withdraw(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.place != nil {
		j.lane.Remove(j.place)
		j.place = nil
		q.n--
	}
}

// close lets the writer end when nothing waits any more.
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

// take waits for jobs and takes at most n, one of each source in turn; none when
// the queue is closed.
func (q *queue) take(n int) (jobs []*job) {
	for {
		q.mu.Lock()
		for len(q.order) > 0 && len(jobs) < n {
			source := q.order[0]
			q.order = q.order[1:]
			lane := q.lanes[source]
			if front := lane.Front(); front != nil {
				j := lane.Remove(front).(*job)
				j.place = nil
				q.n--
				jobs = append(jobs, j)
			}
			if lane.Len() == 0 {
				delete(q.lanes, source)
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
