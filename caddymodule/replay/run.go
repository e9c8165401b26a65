// Package replay decides about recorded events as a handler would have: to see what a
// policy does before it is used, and to give events that are stored already their
// sessions. It has no rules of its own: the events go through the handler's.
package replay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/rudder-session/rudder-session/caddymodule"
)

// Policy is a policy that is tried.
type Policy struct {
	Name string
	Site caddymodule.Site
}

// Options say what is replayed, and how.
type Options struct {
	// Files are read one after the other; "-" is Stdin. None is Stdin alone.
	Files []string
	Stdin io.Reader
	// Policies are tried at the same time, at least one.
	Policies []Policy
	// WriteKey is that of lines that do not say theirs; "" for none.
	WriteKey string
	// Output, if not nil, gets every line, with the sessions of the first policy.
	Output io.Writer
	// OmitControls leaves control calls out of the output, as the handler does.
	// Without it they stay, with a member "rudderSessionControl".
	OmitControls bool
	// IDs: the report's examples have ids.
	IDs bool
	// Capacity is how many sessions, and as many figures of users, are in memory for
	// each policy; the others are in a temporary file. It does not change what is
	// decided.
	Capacity int
	// TempDir is where the temporary file is; "" is the system's directory.
	TempDir string
	// Workers is how many goroutines work; 0 for as many as there are processors. It
	// does not change what is decided.
	Workers int
	// Progress, if not nil, is told how far the replay is.
	Progress *Progress
}

// replay is a replay that runs.
type replay struct {
	*Options
	input   *input
	file    *spillFile
	trials  []*trial
	workers int
	output  *bufio.Writer
	// writing is the file whose lines are written; unended: the last one has no end.
	writing int
	unended bool
	lines   lineFigures
	// serial is the number of lines before the block that is read.
	serial uint64
}

// Run replays the files. The report is of all that was read, and nil only if nothing
// could be; an error says what ended it early, and is ctx's if that ended.
func Run(ctx context.Context, o *Options) (report *Report, err error) {
	if len(o.Policies) == 0 {
		return nil, errors.New("no policy")
	}
	r := &replay{Options: o, workers: o.Workers, output: bufio.NewWriterSize(io.Discard, 256<<10)}
	if o.Output != nil {
		r.output.Reset(o.Output)
	}
	if r.workers <= 0 {
		r.workers = runtime.GOMAXPROCS(0)
	}
	if r.input, err = openInput(o.Files, o.Stdin); err != nil {
		return nil, err
	}
	if r.file, err = newSpillFile(o.TempDir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.file.close()) }()
	for i := range o.Policies {
		r.trials = append(r.trials, newTrial(o, i, r.file, r.workers))
	}
	if o.Progress != nil {
		o.Progress.begin(r.input)
	}
	err = r.run(ctx)
	report = r.report()
	if failed := r.file.failed(); failed != nil {
		return nil, failed
	}
	return report, err
}

// run has the blocks read, parsed, decided about and written by goroutines of their
// own, each block by one after the other, and the blocks in order where order counts.
// It returns when all that was read is written, or the first error.
func (r *replay) run(ctx context.Context) error {
	// Reading ends early with any error behind it; what was read is finished.
	reading, stop := context.WithCancel(ctx)
	defer stop()
	read := make(chan *block)
	toParse := make(chan *block, r.workers)
	inOrder := make(chan *block, r.workers)
	given := make(chan *block, r.workers)

	var readErr, fault error
	var tasks sync.WaitGroup
	tasks.Go(func() {
		defer close(read)
		readErr = r.input.blocks(reading, read)
	})
	tasks.Go(func() {
		defer close(toParse)
		defer close(inOrder)
		for b := range read {
			if !b.part {
				b.serial = r.serial
				r.serial += uint64(len(b.text)) // more than it has lines
				toParse <- b
			}
			inOrder <- b
		}
	})
	for range r.workers {
		tasks.Go(func() {
			for b := range toParse {
				r.parse(b)
				close(b.parsed)
			}
		})
	}
	var schedules []*schedule
	for i, t := range r.trials {
		schedules = append(schedules, newSchedule(context.WithoutCancel(ctx), t, i == 0, &tasks))
	}
	tasks.Go(func() {
		defer close(given)
		for b := range inOrder {
			if b.parsed != nil {
				<-b.parsed
				b.outputs = make([]output, len(b.lines))
				for i, s := range schedules {
					s.block(b, b.jobs[i])
				}
			}
			r.lines.count(b)
			given <- b
		}
		for _, s := range schedules {
			s.close()
		}
	})
	tasks.Go(func() {
		for b := range given {
			b.decided.Wait()
			r.count(b)
			if fault == nil && r.file.failed() == nil { // else what was decided may be wrong
				fault = r.write(b)
			}
			if fault != nil || r.file.failed() != nil {
				stop()
			}
		}
	})
	tasks.Wait()
	if fault == nil {
		fault = r.output.Flush()
	}
	switch {
	case fault != nil:
		return fmt.Errorf("writing the output: %w", fault)
	case r.file.failed() != nil:
		return r.file.failed()
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return readErr
}
