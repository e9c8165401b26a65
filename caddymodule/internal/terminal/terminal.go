// Package terminal is what the commands know of the terminal that they write to.
package terminal

import (
	"io"
	"os"
	"strings"
)

// Is reports whether people look at what is written.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Safe makes text from outside harmless for a terminal.
func Safe(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '�'
		}
		return r
	}, text)
}
