package replay

import "bytes"

// parse splits a block into lines, reads them, and works out their jobs.
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

// serialSpread keeps the serial numbers of requests far apart: the messages of a
// request are numbered from its own number on.
const serialSpread = 0x9e3779b97f4a7c15

// count adds the messages of a block to the progress.
func (r *replay) count(b *block) {
	if r.Progress == nil || b.part {
		return
	}
	for i := range b.jobs[0] {
		r.Progress.events.Add(int64(b.jobs[0][i].messages))
	}
}

// write writes a block. Unchanged lines that follow each other are written in one
// piece.
func (r *replay) write(b *block) error {
	if r.Output == nil {
		return nil
	}
	if r.unended && b.file != r.writing {
		// The last line of the previous file has no newline.
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
