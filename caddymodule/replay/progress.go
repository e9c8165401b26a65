package replay

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
)

// Progress is how far a replay has got. It may be read while the replay runs.
type Progress struct {
	input  atomic.Pointer[input]
	events atomic.Int64
}

func (p *Progress) begin(in *input) { p.input.Store(in) }

// line describes the progress after a time, in one line of a terminal.
func (p *Progress) line(passed time.Duration) string {
	in := p.input.Load()
	if in == nil {
		return ""
	}
	read, events := in.read.Load(), p.events.Load()
	rate := float64(events) / max(passed.Seconds(), 0.001)
	text := fmt.Sprintf("%s read, %s events, %s a second", humanize.Bytes(uint64(read)),
		humanize.Comma(events), humanize.Comma(int64(rate)))
	if in.total == 0 {
		return text
	}
	const width = 20
	share := min(float64(read)/float64(in.total), 1)
	full := int(share * width)
	bar := strings.Repeat("█", full) + strings.Repeat("░", width-full)
	left := "?"
	if share > 0 {
		left = time.Duration(float64(passed) * (1 - share) / share).Round(time.Second).String()
	}
	return fmt.Sprintf("%s %3.0f %%, %s, %s left", bar, share*100, text, left)
}

// Show keeps one line of a terminal up to date with the progress, until the function
// that it returns is called, which erases the line.
func (p *Progress) Show(terminal io.Writer) (end func()) {
	began, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticks := time.NewTicker(200 * time.Millisecond)
		defer ticks.Stop()
		for {
			select {
			case <-done:
				fmt.Fprint(terminal, "\r\x1b[K")
				return
			case <-ticks.C:
				fmt.Fprintf(terminal, "\r%s\x1b[K", p.line(time.Since(began)))
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
