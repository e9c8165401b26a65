package redistest

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// ShiftTime makes the server's clock seem ahead to clients that send TIME through the
// proxy.
func (p *Proxy) ShiftTime(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shift = by
}

// timeAnswer matches the reply to TIME: seconds and microseconds.
var timeAnswer = regexp.MustCompile(`^\*2\r\n\$\d+\r\n(\d+)\r\n\$\d+\r\n(\d+)\r\n$`)

// shifted returns the bytes to forward in a direction, with the time shifted. A reply to
// TIME comes alone, because the client waits for it.
func (p *Proxy) shifted(d Direction, b []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shift == 0 || d != Answers {
		return b
	}
	parts := timeAnswer.FindSubmatch(b)
	if parts == nil {
		return b
	}
	seconds, _ := strconv.ParseInt(string(parts[1]), 10, 64)
	micros, _ := strconv.ParseInt(string(parts[2]), 10, 64)
	at := time.UnixMicro(seconds*1e6 + micros).Add(p.shift)
	s, us := strconv.FormatInt(at.Unix(), 10), strconv.Itoa(at.Nanosecond()/1000)
	return fmt.Appendf(nil, "*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(s), s, len(us), us)
}
