package replay

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// character reads the character of a JSON string that begins at i: how many bytes it
// takes there, and what it stands for. Bytes that are not escaped stand for
// themselves, valid UTF-8 or not.
func character(raw []byte, i int, to *[utf8.UTFMax]byte) (size int, text []byte) {
	if raw[i] != '\\' {
		return 1, raw[i : i+1]
	}
	switch c := raw[i+1]; c {
	case 'b', 'f', 'n', 'r', 't':
		to[0] = controls[c]
		return 2, to[:1]
	case 'u':
		r, size := escapedUnit(raw, i), 6
		if utf16.IsSurrogate(r) {
			pair := utf16.DecodeRune(r, escapedUnit(raw, i+6))
			if r = utf8.RuneError; pair != r {
				r, size = pair, 12
			}
		}
		return size, to[:utf8.EncodeRune(to[:], r)]
	default: // a quote, a slash, a backslash
		to[0] = c
		return 2, to[:1]
	}
}

var controls = [128]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escapedUnit reads \u and four digits, -1 if they are not there.
func escapedUnit(raw []byte, i int) rune {
	if i+6 > len(raw) || raw[i] != '\\' || raw[i+1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(raw[i+2:i+6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// unquote returns what a JSON string without its quotes stands for.
func unquote(raw []byte) []byte {
	text := make([]byte, 0, len(raw))
	var buffer [utf8.UTFMax]byte
	for i := 0; i < len(raw); {
		size, c := character(raw, i, &buffer)
		text, i = append(text, c...), i+size
	}
	return text
}

// requote returns, in quotes, what stands for pieces some of which are parts of what
// raw stands for: those parts as they are in raw, every byte of them.
func requote(raw, text []byte, pieces [][]byte) []byte {
	out := []byte{'"'}
	var buffer [utf8.UTFMax]byte
	at, plain := 0, 0 // the same place in raw and in text
	skip := func(to int) int {
		for plain < to {
			size, c := character(raw, at, &buffer)
			at, plain = at+size, plain+len(c)
		}
		return at
	}
	for _, piece := range pieces {
		if offset, ok := offsetIn(text, piece); ok {
			from := skip(offset)
			out = append(out, raw[from:skip(offset+len(piece))]...)
			continue
		}
		for _, c := range piece {
			if c == '"' || c == '\\' {
				out = append(out, '\\')
			}
			out = append(out, c)
		}
	}
	return append(out, '"')
}

// offsetIn returns where in text a part of it begins, if it is one.
func offsetIn(text, part []byte) (offset int, ok bool) {
	if cap(part) == 0 || cap(part) > cap(text) || &part[:cap(part)][cap(part)-1] != &text[:cap(text)][cap(text)-1] {
		return 0, false
	}
	return cap(text) - cap(part), true
}
