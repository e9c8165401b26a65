package enrich

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// unescape appends the text of a JSON string, given without its quotes, to dst. Lone
// surrogates become U+FFFD.
func unescape(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		c := text[i+1]
		text = text[i+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(text)
			text = text[4:]
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(text) >= 6 && text[0] == '\\' && text[1] == 'u' {
					low = hex4(text[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					text = text[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
}

func hex4(b []byte) (r rune) {
	for _, c := range b[:4] {
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c | 0x20 - 'a' + 10
		}
		r = r<<4 | rune(c)
	}
	return r
}

// textOf returns the text of a value if it is a string, or nil.
func textOf(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	value = value[1 : len(value)-1]
	if bytes.IndexByte(value, '\\') < 0 {
		return value
	}
	return unescape(nil, value)
}

// idOf returns an id as the data plane reads it: a string's text, or another value's
// JSON text, without invisible characters, and trimmed. It returns nothing for ""
// and null. The result may share memory with value.
func idOf(value []byte) []byte {
	if len(value) == 0 {
		return nil
	}
	switch value[0] {
	case 'n':
		return nil
	case '"':
		text := value[1 : len(value)-1]
		if isPlain(text) {
			return trim(text)
		}
		return []byte(normalise(string(unescape(nil, text))))
	}
	// The data plane decodes the value: numbers to float64, objects to maps.
	var v any
	if json.Unmarshal(value, &v) == nil {
		if text, err := json.Marshal(v); err == nil {
			value = text
		}
	}
	return []byte(normalise(string(value)))
}

func trim(text []byte) []byte {
	for len(text) > 0 && text[0] == ' ' {
		text = text[1:]
	}
	for len(text) > 0 && text[len(text)-1] == ' ' {
		text = text[:len(text)-1]
	}
	return text
}

// isPlain reports whether a string is printable ASCII without escapes: then normalise
// would only trim it.
func isPlain(text []byte) bool {
	for ; len(text) >= 8; text = text[8:] {
		x := binary.LittleEndian.Uint64(text)
		slash, del := x^eachByte*'\\', x^eachByte*0x7f
		if (x|(x-eachByte*' ')&^x|(slash-eachByte)&^slash|(del-eachByte)&^del)&highBits != 0 {
			return false
		}
	}
	for _, c := range text {
		if c < ' ' || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

func normalise(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || invisible(r) {
			return -1
		}
		return r
	}, text))
}

// invisible reports whether the data plane drops a character (sanitize.Unicode of its
// go-kit) that unicode.IsPrint accepts.
func invisible(r rune) bool {
	switch r {
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u2800', '\u3164', '\uffa0':
		return true
	}
	return false
}
