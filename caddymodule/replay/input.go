package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
)

// blockLines bounds the lines of a block: the parsed form of a short line takes more
// memory than its text.
const blockLines = 1 << 12

// Tests change these.
var (
	// blockSize is about how many bytes of lines are worked on together.
	blockSize = 1 << 20
	// maxLine is the length in bytes from which a line is not parsed, but passed on in
	// pieces. It is eight times the largest request that the data plane accepts.
	maxLine = 32 << 20
)

// block is a run of lines of one file, with their jobs and their outputs.
type block struct {
	file      int // the index of the file
	firstLine int // the number of the first line, from 1
	text      []byte
	// part: text is a piece of a line that is too long; first: it is the first piece.
	// Such a block has no lines.
	part, first bool
	lines       []line
	parsed      chan struct{} // closed when lines and jobs are set; nil for a part
	// serial is the number of the first line among those of all files, with gaps.
	serial uint64
	// jobs has, for each policy, the job of each line.
	jobs    [][]job
	outputs []output
	// decided is done when all lines have been decided for all policies.
	decided sync.WaitGroup
}

// input reads the files one after the other.
type input struct {
	files []string // "-" is standard input
	stdin io.Reader
	// read counts the bytes that were read from the files, decompressed the bytes after
	// decompression.
	read, decompressed atomic.Int64
	// total is the size of all files in bytes, 0 if it is not known.
	total int64
}

// openInput checks the files, so that a missing one is an error before any other is
// read.
func openInput(files []string, stdin io.Reader) (*input, error) {
	if len(files) == 0 {
		files = []string{"-"}
	}
	in := &input{files: files, stdin: stdin}
	known := true
	for _, name := range files {
		if name == "-" {
			known = false
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			return nil, fmt.Errorf("%s is a directory", name)
		}
		known = known && info.Mode().IsRegular()
		in.total += info.Size()
	}
	if !known {
		in.total = 0
	}
	return in, nil
}

// name is the name of a file in messages.
func (in *input) name(file int) string {
	if in.files[file] == "-" {
		return "standard input"
	}
	return in.files[file]
}

// blocks sends all lines of all files, in order. An error says where reading stopped;
// everything before that has been sent.
func (in *input) blocks(ctx context.Context, to chan<- *block) error {
	for file := range in.files {
		if err := in.one(ctx, file, to); err != nil {
			return err
		}
	}
	return nil
}

func (in *input) one(ctx context.Context, file int, to chan<- *block) error {
	source := in.stdin
	if name := in.files[file]; name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		source = f
	}
	if !isRegular(source) {
		source = &cancelableReader{ctx, source}
	}
	c := cutter{ctx: ctx, file: file, line: 1, to: to}
	plain, err := decompressed(&countedReader{source, &in.read})
	if err == nil {
		c.from = &countedReader{plain, &in.decompressed}
		err = c.cut()
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the gzip ends too early")
	}
	return fmt.Errorf("%s: line %d, %d bytes into its text: %w", in.name(file), c.line, c.at, err)
}

// isRegular reports whether a source is a regular file, whose Read does not block.
func isRegular(source io.Reader) bool {
	f, ok := source.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// cancelableReader makes the Read of a pipe or a terminal return when ctx ends. After
// that, the abandoned Read may still write into its buffer.
type cancelableReader struct {
	ctx context.Context
	io.Reader
}

func (r *cancelableReader) Read(b []byte) (n int, err error) {
	read := make(chan struct{})
	var late struct {
		n   int
		err error
	}
	go func() {
		defer close(read)
		late.n, late.err = r.Reader.Read(b)
	}()
	select {
	case <-read:
		return late.n, late.err
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}

// countedReader counts the bytes that are read through it.
type countedReader struct {
	io.Reader
	n *atomic.Int64
}

func (r *countedReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.n.Add(int64(n))
	return n, err
}

// decompressed decompresses a file if its first bytes say that it is gzip.
func decompressed(file io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(file, 256<<10)
	magic, err := buffered.Peek(2)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return buffered, nil
	}
	return gzip.NewReader(buffered)
}

// cutter cuts a text into blocks of whole lines.
type cutter struct {
	ctx  context.Context
	from io.Reader
	file int
	line int   // the number of the next line
	at   int64 // its offset in the text
	to   chan<- *block
	// inLong: the last block was a part of a line whose end has not come yet.
	inLong bool
}

func (c *cutter) cut() error {
	var rest []byte // the beginning of a line whose end is not read yet
	for {
		text := make([]byte, max(blockSize, 2*len(rest)))
		n := copy(text, rest)
		var err error
		for n < len(text) && err == nil {
			var read int
			read, err = c.from.Read(text[n:])
			n += read
		}
		text = text[:n]
		whole := n // at the end, or before an error, an incomplete last line is included
		if err == nil || c.ctx.Err() != nil {
			whole = bytes.LastIndexByte(text, '\n') + 1
		}
		rest = text[whole:]
		c.send(text[:whole:whole])
		switch {
		case c.ctx.Err() != nil:
			return c.ctx.Err()
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if len(rest) >= maxLine || c.inLong {
			c.long(rest)
			rest = nil
		}
	}
}

// send sends the lines of a text. If the text begins within a line that is too long, it
// sends the rest of that line first.
func (c *cutter) send(text []byte) {
	if c.inLong && len(text) > 0 {
		end := bytes.IndexByte(text, '\n') + 1
		if end == 0 {
			end = len(text)
		}
		c.inLong = false
		c.emit(&block{part: true, text: text[:end]})
		c.line++
		text = text[end:]
	}
	for len(text) > 0 {
		end, lines := 0, 0
		for end < len(text) && lines < blockLines {
			lines++
			if n := bytes.IndexByte(text[end:], '\n') + 1; n > 0 {
				end += n
			} else {
				end = len(text)
				lines--
			}
		}
		c.emit(&block{text: text[:end:end], parsed: make(chan struct{})})
		c.line += lines
		text = text[end:]
	}
}

// long sends a piece of a line that is too long.
func (c *cutter) long(piece []byte) {
	if len(piece) == 0 {
		return
	}
	first := !c.inLong
	c.inLong = true
	c.emit(&block{part: true, first: first, text: piece})
}

func (c *cutter) emit(b *block) {
	b.file, b.firstLine = c.file, c.line
	c.at += int64(len(b.text))
	c.to <- b
}
