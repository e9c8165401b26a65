package enrich

import "math/bits"

// The functions of this file validate JSON. They accept exactly what the data plane's
// validator (gjson.ValidBytes) accepts, nested up to maxDepth. They take the index at
// which a value begins, and return the index after it, or -1 if it is invalid.

// maxDepth is how deep objects and arrays may nest. The data plane has no limit
// of its own; deeper bodies are forwarded unread.
const maxDepth = 512

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool {
	return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t')
}

// scanString reads the string whose opening quote is at i, and reports whether it
// has escapes.
func (d *document) scanString(i int) (end int, escaped bool) {
	if i = stopAt(d.stops, i+1); i < len(d.b) && d.b[i] == '"' {
		return i + 1, false
	}
	return d.scanStringSlowly(i)
}

// scanStringSlowly reads on from inside a string.
func (d *document) scanStringSlowly(i int) (end int, escaped bool) {
	for i < len(d.b) {
		switch d.b[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			escaped = true
			if i = scanEscape(d.b, i); i < 0 {
				return -1, escaped
			}
		default:
			if d.b[i] < ' ' {
				return -1, escaped
			}
		}
		i = stopAt(d.stops, i)
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

// scanScalar reads a literal or a number.
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

// scanKey reads an object's key, the colon and the white space around it. It returns
// the index after the key's closing quote, and the index of the value.
func (d *document) scanKey(i int) (end int, escaped bool, value int) {
	b := d.b
	if i >= len(b) || b[i] != '"' {
		return -1, false, -1
	}
	end, escaped = d.scanString(i)
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

// scanValue reads any value. depth is the number of objects and arrays around it.
func (d *document) scanValue(i, depth int) int {
	if i >= len(d.b) {
		return -1
	}
	switch d.b[i] {
	case '"':
		end := stopAt(d.stops, i+1)
		if uint(end) < uint(len(d.b)) && d.b[end] == '"' {
			return end + 1
		}
		end, _ = d.scanStringSlowly(end)
		return end
	case '{', '[':
		return d.scanContainer(i, depth)
	}
	return scanScalar(d.b, i)
}

// scanContainer reads the object or array that begins at i.
func (d *document) scanContainer(i, depth int) int {
	b, stops := d.b, d.stops
	// The next stops: the bits of ahead, which is the rest of word at. Each string
	// has two. Going from stop to stop takes a third of the time that it takes to
	// search each one from the end of the last string.
	at, ahead := seek(stops, i)
	// One bit for each open container: set for an object.
	var objects [maxDepth / 64]uint64
	outer := depth
	object := false
	for {
		// A value begins at i.
		switch c := b[i]; c {
		case '"':
			at, ahead = next(stops, at, ahead)
			at, ahead = next(stops, at, ahead&(ahead-1))
			i = int(at<<6) + bits.TrailingZeros64(ahead)
			ahead &= ahead - 1
			if i >= len(b) {
				return -1
			}
			if b[i] == '"' {
				i++
				break
			}
			if i, _ = d.scanStringSlowly(i); i < 0 {
				return -1
			}
			at, ahead = seek(stops, i)
		case '{', '[':
			if depth++; depth > maxDepth {
				return -1
			}
			i++
			if i < len(b) && b[i] <= ' ' {
				i = skipSpace(b, i)
				at, ahead = seek(stops, i)
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
				objects[(depth-1)>>6&(maxDepth/64-1)] |= 1 << (depth & 63)
				goto key
			}
			objects[(depth-1)>>6&(maxDepth/64-1)] &^= 1 << (depth & 63)
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
				at, ahead = seek(stops, i)
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
			object = objects[(depth-1)>>6&(maxDepth/64-1)]>>(depth&63)&1 != 0
		}
		i++
		if i < len(b) && b[i] <= ' ' {
			i = skipSpace(b, i)
			at, ahead = seek(stops, i)
		}
		if i >= len(b) {
			return -1
		}
		if !object {
			continue
		}
	key:
		if b[i] != '"' {
			return -1
		}
		start := i
		at, ahead = next(stops, at, ahead)
		at, ahead = next(stops, at, ahead&(ahead-1))
		i = int(at<<6) + bits.TrailingZeros64(ahead)
		ahead &= ahead - 1
		if i+2 < len(b) && b[i] == '"' && b[i+1] == ':' && b[i+2] > ' ' {
			i += 2
			continue
		}
		if _, _, i = d.scanKey(start); i < 0 {
			return -1
		}
		at, ahead = seek(stops, i)
	}
}
