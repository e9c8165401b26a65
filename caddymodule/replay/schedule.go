package replay

import (
	"context"
	"math/bits"
	"sync"
)

// schedule has the workers of a trial decide about blocks. Each worker has some of the
// lanes, so that lines of the same user are decided about in order, by one worker. A
// line of users that several workers have waits for all lines before it, and those
// after it wait for it.
type schedule struct {
	ctx   context.Context
	trial *trial
	// keep: the outputs of this trial are those of the replay.
	keep bool
	// queues has, for each worker, the lines that it is to be given, tasks takes them
	// to it, and given are those that it is not done with.
	queues [][]int
	tasks  []chan task
	given  sync.WaitGroup
}

// task is some lines of a block, for one worker.
type task struct {
	block *block
	jobs  []job
	lines []int
}

// newSchedule starts the workers, which end after close.
func newSchedule(ctx context.Context, t *trial, keep bool, running *sync.WaitGroup) *schedule {
	s := &schedule{ctx: ctx, trial: t, keep: keep, queues: make([][]int, len(t.workers))}
	for worker := range t.workers {
		tasks := make(chan task, 1)
		s.tasks = append(s.tasks, tasks)
		running.Go(func() {
			for todo := range tasks {
				for _, i := range todo.lines {
					s.line(worker, todo.block, todo.jobs, i)
				}
				todo.block.decided.Done()
				s.given.Done()
			}
		})
	}
	return s
}

// block has the workers decide about a block, in the order of the calls.
func (s *schedule) block(b *block, jobs []job) {
	for i := range jobs {
		worker, alone := s.workerOf(&jobs[i], i)
		if !alone {
			s.queues[worker] = append(s.queues[worker], i)
			continue
		}
		s.give(b, jobs)
		s.given.Wait()
		s.line(0, b, jobs, i)
	}
	s.give(b, jobs)
}

// give gives the workers what is in their queues.
func (s *schedule) give(b *block, jobs []job) {
	for worker, lines := range s.queues {
		if len(lines) == 0 {
			continue
		}
		b.decided.Add(1)
		s.given.Add(1)
		s.tasks[worker] <- task{b, jobs, lines}
		s.queues[worker] = make([]int, 0, len(lines))
	}
}

func (s *schedule) close() {
	for _, tasks := range s.tasks {
		close(tasks)
	}
}

// workerOf returns which worker a job is for; alone: no other may work meanwhile.
func (s *schedule) workerOf(j *job, index int) (worker int, alone bool) {
	if j.lanes == 0 {
		return index % len(s.tasks), false
	}
	worker = bits.TrailingZeros64(j.lanes) % len(s.tasks)
	for lanes := j.lanes; lanes != 0; lanes &= lanes - 1 {
		if bits.TrailingZeros64(lanes)%len(s.tasks) != worker {
			return 0, true
		}
	}
	return worker, false
}

func (s *schedule) line(worker int, b *block, jobs []job, i int) {
	out := s.trial.workers[worker].decide(s.ctx, &b.lines[i], &jobs[i], place{b.file, b.firstLine + i})
	if s.keep {
		b.outputs[i] = out
	}
}
