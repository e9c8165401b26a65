package enrich

import (
	"encoding/binary"
	"math/bits"
)

// The functions of this file walk over JSON and accept exactly what the data
// plane's validator (gjson.ValidBytes) accepts, nesting up to maxDepth. They
// take the index at which something begins and return the index after it, or
// -1 if it is not valid.

// maxDepth is how deep objects and arrays may nest. The data plane has no limit
// of its own; deeper bodies are forwarded unread.
const maxDepth = 512

func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

const (
	each = 0x0101010101010101
	high = 0x8080808080808080
)

// special sets the high bit of each byte of x that ends a run of plain string
// bytes: a quote, a backslash, a control character. Bits above the lowest one
// that is set may be wrong.
func special(x uint64) uint64 {
	// With bit 1 flipped, control characters stay below the space, and the
	// quote becomes it.
	quote := x ^ each*('"'^' ')
	slash := x ^ each*'\\'
	return ((quote-each*(' '+1))&^quote | (slash-each)&^slash) & high
}

// scanString walks over the string that begins at b[i], a quote, and tells
// whether it has escapes.
func scanString(b []byte, i int) (end int, escaped bool) {
	// In this form the loop needs no bounds checks.
	rest := b[i+1:]
	for len(rest) >= 8 {
		m := special(binary.LittleEndian.Uint64(rest))
		if m != 0 {
			i = len(b) - len(rest) + bits.TrailingZeros64(m)>>3
			if b[i] == '"' {
				return i + 1, false
			}
			return scanStringSlowly(b, i)
		}
		rest = rest[8:]
	}
	return scanStringSlowly(b, len(b)-len(rest))
}

// scanStringSlowly goes on inside a string: up to an escape, a byte that is not
// allowed, or the last bytes of the body, scanString was fast enough.
func scanStringSlowly(b []byte, i int) (end int, escaped bool) {
	for i < len(b) {
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped
		case c == '\\':
			escaped = true
			if i = scanEscape(b, i); i < 0 {
				return -1, escaped
			}
		case c < ' ':
			return -1, escaped
		case i+8 <= len(b):
			m := special(binary.LittleEndian.Uint64(b[i:]))
			if m == 0 {
				i += 8
			} else {
				i += bits.TrailingZeros64(m) >> 3
			}
		default:
			i++
		}
	}
	return -1, escaped
}

func scanEscape(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if i+6 > len(b) {
			return -1
		}
		for _, c := range b[i+2 : i+6] {
			if !isHex(c) {
				return -1
			}
		}
		return i + 6
	}
	return -1
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func scanDigits(b []byte, i int) int {
	start := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func scanNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = scanDigits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = scanDigits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return scanDigits(b, i)
	}
	return i
}

func scanLiteral(b []byte, i int, literal string) int {
	if end := i + len(literal); end <= len(b) && string(b[i:end]) == literal {
		return end
	}
	return -1
}

// scanScalar walks over a value that is no object, array or string.
func scanScalar(b []byte, i int) int {
	switch b[i] {
	case 't':
		return scanLiteral(b, i, "true")
	case 'f':
		return scanLiteral(b, i, "false")
	case 'n':
		return scanLiteral(b, i, "null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return scanNumber(b, i)
	}
	return -1
}

// scanKey walks over an object's key, the colon and the white space around it,
// to where the value begins. The key's string ends before end.
func scanKey(b []byte, i int) (end int, escaped bool, value int) {
	if i >= len(b) || b[i] != '"' {
		return -1, false, -1
	}
	end, escaped = scanString(b, i)
	if end < 0 {
		return -1, false, -1
	}
	value = end
	if value < len(b) && b[value] != ':' {
		value = skipSpace(b, value)
	}
	if value >= len(b) || b[value] != ':' {
		return -1, false, -1
	}
	value++
	if value < len(b) && b[value] <= ' ' {
		value = skipSpace(b, value)
	}
	if value >= len(b) {
		return -1, false, -1
	}
	return end, escaped, value
}

// scanValue walks over any value. depth is how many objects and arrays are
// around it.
func scanValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	if c := b[i]; c == '"' {
		end, _ := scanString(b, i)
		return end
	} else if c != '{' && c != '[' {
		return scanScalar(b, i)
	}
	// One bit for each open container: set for an object.
	var objects [maxDepth/64 + 1]uint64
	outer := depth
	object := false
	for {
		// A value begins at i.
		switch c := b[i]; c {
		case '"':
			if i, _ = scanString(b, i); i < 0 {
				return -1
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				return -1
			}
			i++
			if i < len(b) && b[i] <= ' ' {
				i = skipSpace(b, i)
			}
			if i >= len(b) {
				return -1
			}
			if b[i] == c+2 { // '}' and ']' are two above
				i++
				depth--
				break
			}
			if object = c == '{'; object {
				objects[depth>>6] |= 1 << (depth & 63)
				if _, _, i = scanKey(b, i); i < 0 {
					return -1
				}
			} else {
				objects[depth>>6] &^= 1 << (depth & 63)
			}
			continue
		default:
			if i = scanScalar(b, i); i < 0 {
				return -1
			}
		}
		// A value ended at i.
		for {
			if depth == outer {
				return i
			}
			if i < len(b) && b[i] <= ' ' {
				i = skipSpace(b, i)
			}
			if i >= len(b) {
				return -1
			}
			if b[i] == ',' {
				break
			}
			if object && b[i] != '}' || !object && b[i] != ']' {
				return -1
			}
			i++
			depth--
			object = objects[depth>>6]>>(depth&63)&1 != 0
		}
		i++
		if i < len(b) && b[i] <= ' ' {
			i = skipSpace(b, i)
		}
		if i >= len(b) {
			return -1
		}
		if object {
			if _, _, i = scanKey(b, i); i < 0 {
				return -1
			}
		}
	}
}
