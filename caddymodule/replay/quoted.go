package replay

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// character decodes the character of a JSON string that begins at i: its size in the
// string, and its text. An unescaped byte is its own text, even if it is not valid
// UTF-8.
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

// escapedUnit reads \u and four hexadecimal digits, and returns -1 if there are none.
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

// unquote decodes a JSON string that is given without its quotes.
func unquote(raw []byte) []byte {
	text := make([]byte, 0, len(raw))
	var buffer [utf8.UTFMax]byte
	for i := 0; i < len(raw); {
		size, c := character(raw, i, &buffer)
		text, i = append(text, c...), i+size
	}
	return text
}

// requote encodes pieces as one JSON string, with quotes. text is raw decoded. A piece
// that is a part of text is copied from raw, so that its bytes and escapes stay the
// same.
func requote(raw, text []byte, pieces [][]byte) []byte {
	out := []byte{'"'}
	var buffer [utf8.UTFMax]byte
	at, plain := 0, 0 // the same position in raw and in text
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

// offsetIn returns the offset of part in text, if part is a subslice of it: both then
// have the same end of capacity.
func offsetIn(text, part []byte) (offset int, ok bool) {
	if cap(part) == 0 || cap(part) > cap(text) || &part[:cap(part)][cap(part)-1] != &text[:cap(text)][cap(text)-1] {
		return 0, false
	}
	return cap(text) - cap(part), true
}
