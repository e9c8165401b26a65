package replay

import (
	"context"
	"math/bits"
	"sync"
)

// schedule distributes the lines of blocks to the workers of a trial. Each worker owns
// some of the lanes, so that lines of the same user are decided in order, by one
// worker. A line whose users belong to several workers waits for all lines before it,
// and those after it wait for it.
type schedule struct {
	ctx   context.Context
	trial *trial
	// keepOutput: the outputs of this trial are those of the replay.
	keepOutput bool
	// queues has, for each worker, the lines of its next task. tasks sends tasks to the
	// workers, and unfinished counts those that are not done.
	queues     [][]int
	tasks      []chan task
	unfinished sync.WaitGroup
}

// task is some lines of a block for one worker.
type task struct {
	block *block
	jobs  []job
	lines []int
}

// newSchedule starts the workers in a wait group. They end after close.
func newSchedule(ctx context.Context, t *trial, keepOutput bool, running *sync.WaitGroup) *schedule {
	s := &schedule{ctx: ctx, trial: t, keepOutput: keepOutput, queues: make([][]int, len(t.workers))}
	for worker := range t.workers {
		tasks := make(chan task, 1)
		s.tasks = append(s.tasks, tasks)
		running.Go(func() {
			for todo := range tasks {
				for _, i := range todo.lines {
					s.line(worker, todo.block, todo.jobs, i)
				}
				todo.block.decided.Done()
				s.unfinished.Done()
			}
		})
	}
	return s
}

// block sends a block to the workers. Blocks must come in the order of the input.
func (s *schedule) block(b *block, jobs []job) {
	for i := range jobs {
		worker, alone := s.workerOf(&jobs[i], i)
		if !alone {
			s.queues[worker] = append(s.queues[worker], i)
			continue
		}
		s.give(b, jobs)
		s.unfinished.Wait()
		s.line(0, b, jobs, i)
	}
	s.give(b, jobs)
}

// give sends the queued lines to the workers.
func (s *schedule) give(b *block, jobs []job) {
	for worker, lines := range s.queues {
		if len(lines) == 0 {
			continue
		}
		b.decided.Add(1)
		s.unfinished.Add(1)
		s.tasks[worker] <- task{b, jobs, lines}
		s.queues[worker] = make([]int, 0, len(lines))
	}
}

func (s *schedule) close() {
	for _, tasks := range s.tasks {
		close(tasks)
	}
}

// workerOf returns the worker for a job; alone: no other worker may run at the same
// time.
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
	if s.keepOutput {
		b.outputs[i] = out
	}
}
