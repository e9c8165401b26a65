// Package replay decides the sessions of recorded events as a handler would have
// decided them: to see what a policy does before it is used, and to give events that
// are stored already their sessions. It has no rules of its own: it runs the handler's
// code on the events.
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

// Policy is a policy to try.
type Policy struct {
	Name string
	Site caddymodule.Site
}

// Options say what is replayed, and how.
type Options struct {
	// Files are read one after the other; "-" is Stdin. No file means Stdin.
	Files []string
	Stdin io.Reader
	// Policies are tried at the same time; there must be at least one.
	Policies []Policy
	// WriteKey is the write key of lines that have none; "" for none.
	WriteKey string
	// Output, if not nil, gets every line, with the sessions of the first policy.
	Output io.Writer
	// OmitControls leaves control calls out of the output, as the handler does.
	// Without it they stay, with a member "rudderSessionControl".
	OmitControls bool
	// IDs: the report has the ids of its examples.
	IDs bool
	// Capacity is how many sessions, with their users' figures, are in memory for each
	// policy; the others are in a temporary file. It does not change any decision.
	Capacity int
	// TempDir is the directory of the temporary file; "" is the system's.
	TempDir string
	// Workers is how many goroutines decide lines for each policy; 0 stands for
	// GOMAXPROCS. It does not change any decision.
	Workers int
	// Progress, if not nil, is updated while the replay runs.
	Progress *Progress
}

// replay is a running replay.
type replay struct {
	*Options
	input   *input
	file    *spillFile
	trials  []*trial
	workers int
	output  *bufio.Writer
	// writing is the file whose lines are being written; unended: the last line that
	// was written has no newline.
	writing int
	unended bool
	lines   lineFigures
	// serial is the serial number of the next block's first line.
	serial uint64
}

// Run replays the files. An error says why the replay ended early; it is ctx's if ctx
// ended. The report is then about everything before that. It is nil if the replay could
// not start, or the temporary file failed.
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

// run is a pipeline: goroutines read, parse, decide and write blocks. Blocks are parsed
// in any order; they are decided and written in the order of the input. run returns
// when everything that was read is written, with the first error.
func (r *replay) run(ctx context.Context) error {
	// An error in a later stage stops the reading; blocks already read are finished.
	reading, stop := context.WithCancel(ctx)
	defer stop()
	read := make(chan *block)
	toParse := make(chan *block, r.workers)
	toDecide := make(chan *block, r.workers)
	toWrite := make(chan *block, r.workers)

	var readErr, fault error
	var tasks sync.WaitGroup
	tasks.Go(func() {
		defer close(read)
		readErr = r.input.blocks(reading, read)
	})
	tasks.Go(func() {
		defer close(toParse)
		defer close(toDecide)
		for b := range read {
			if !b.part {
				b.serial = r.serial
				r.serial += uint64(len(b.text)) // at least the number of its lines
				toParse <- b
			}
			toDecide <- b
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
		defer close(toWrite)
		for b := range toDecide {
			if b.parsed != nil {
				<-b.parsed
				b.outputs = make([]output, len(b.lines))
				for i, s := range schedules {
					s.block(b, b.jobs[i])
				}
			}
			r.lines.count(b)
			toWrite <- b
		}
		for _, s := range schedules {
			s.close()
		}
	})
	tasks.Go(func() {
		for b := range toWrite {
			b.decided.Wait()
			r.count(b)
			if fault == nil && r.file.failed() == nil { // otherwise decisions may be wrong
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
