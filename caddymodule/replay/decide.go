package replay

import (
	"bytes"
	"context"
	"math/bits"
	"sync"
)

// parse finds the lines of a block, and reads them.
func (r *replay) parse(b *block) {
	b.lines = make([]line, 0, bytes.Count(b.text, []byte{'\n'})+1)
	for text := b.text; len(text) > 0; {
		end := bytes.IndexByte(text, '\n') + 1
		if end == 0 {
			end = len(text)
		}
		b.lines = append(b.lines, readLine(text[:end:end], r.WriteKey))
		text = text[end:]
	}
	b.jobs = make([][]job, len(r.trials))
	for i, t := range r.trials {
		b.jobs[i] = make([]job, len(b.lines))
		for j := range b.lines {
			b.jobs[i][j] = t.read(&b.lines[j], (b.serial+uint64(j)+1)*serialSpread)
		}
	}
}

// serialSpread keeps the numbers of lines apart: a request numbers its messages from
// its own on.
const serialSpread = 0x9e3779b97f4a7c15

// decide decides about a block, policy by policy. The output is that of the first.
func (r *replay) decide(ctx context.Context, b *block) {
	b.outputs = make([]output, len(b.lines))
	for i, t := range r.trials {
		p := pass{ctx: ctx, trial: t, block: b, jobs: b.jobs[i], queues: make([][]int, r.workers), keep: i == 0}
		p.run()
	}
	if r.Progress != nil {
		for i := range b.jobs[0] {
			r.Progress.events.Add(int64(b.jobs[0][i].messages))
		}
	}
	b.jobs = nil
}

// pass is one policy's way through a block. Each worker has some of the lanes, so
// that lines of the same user are decided about in order, by one worker. A line of
// users that several workers have waits for all lines before it, and those after it
// wait for it.
type pass struct {
	ctx    context.Context
	trial  *trial
	block  *block
	jobs   []job
	queues [][]int // the lines that wait, for each worker
	waits  int
	keep   bool
}

func (p *pass) run() {
	for i := range p.jobs {
		worker, alone := p.workerOf(&p.jobs[i], i)
		if !alone {
			p.queues[worker] = append(p.queues[worker], i)
			p.waits++
			continue
		}
		p.drain()
		p.line(0, i)
	}
	p.drain()
}

// workerOf returns which worker a job is for; alone: no other may work meanwhile.
func (p *pass) workerOf(j *job, index int) (worker int, alone bool) {
	if j.lanes == 0 {
		return index % len(p.queues), false
	}
	worker = bits.TrailingZeros64(j.lanes) % len(p.queues)
	if j.oneLane() || len(p.queues) == 1 {
		return worker, false
	}
	for lanes := j.lanes; lanes != 0; lanes &= lanes - 1 {
		if bits.TrailingZeros64(lanes)%len(p.queues) != worker {
			return 0, true
		}
	}
	return worker, false
}

// drain has all lines that wait decided about.
func (p *pass) drain() {
	if p.waits == 0 {
		return
	}
	p.waits = 0
	var working sync.WaitGroup
	for worker, lines := range p.queues {
		if len(lines) == 0 {
			continue
		}
		working.Go(func() {
			for _, i := range lines {
				p.line(worker, i)
			}
		})
		p.queues[worker] = lines[:0]
	}
	working.Wait()
}

func (p *pass) line(worker, i int) {
	b := p.block
	out := p.trial.workers[worker].decide(p.ctx, &b.lines[i], &p.jobs[i], place{b.file, b.firstLine + i})
	if p.keep {
		b.outputs[i] = out
	}
}

// write writes a block. What is as it came is written in one piece.
func (r *replay) write(b *block) error {
	if r.Output == nil {
		return nil
	}
	if r.unended && b.file != r.writing {
		// The last line of the file before has no end.
		if err := r.put([]byte{'\n'}); err != nil {
			return err
		}
	}
	r.writing = b.file
	if b.part {
		return r.put(b.text)
	}
	from, at := 0, 0
	for i := range b.lines {
		end := at + len(b.lines[i].text)
		out := &b.outputs[i]
		if !out.omitted && out.pieces == nil {
			at = end
			continue
		}
		if err := r.put(b.text[from:at]); err != nil {
			return err
		}
		for _, piece := range out.pieces {
			if err := r.put(piece); err != nil {
				return err
			}
		}
		from, at = end, end
	}
	return r.put(b.text[from:])
}

func (r *replay) put(text []byte) error {
	if len(text) > 0 {
		r.unended = text[len(text)-1] != '\n'
	}
	_, err := r.output.Write(text)
	return err
}
