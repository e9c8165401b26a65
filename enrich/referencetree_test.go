package enrich

import (
	"encoding/json"
	"strings"
	"unicode"
)

// node is a value of the tree.
type node struct {
	start, end int
	kind       byte // { [ or the first byte of a scalar
	members    []refMember
	elements   []*node
	commas     []int
}

type refMember struct {
	key      string
	keyStart int
	value    *node
}

// parseTree parses JSON that is known to be valid.
func parseTree(b []byte, i int) *node {
	space := func() {
		for i < len(b) && strings.IndexByte(" \t\r\n", b[i]) >= 0 {
			i++
		}
	}
	text := func() int {
		j := i + 1
		for b[j] != '"' {
			if b[j] == '\\' {
				j++
			}
			j++
		}
		return j + 1
	}
	space()
	n := &node{start: i, kind: b[i]}
	switch b[i] {
	case '{', '[':
		i++
		for space(); b[i] != '}' && b[i] != ']'; space() {
			if b[i] == ',' {
				n.commas = append(n.commas, i)
				i++
				continue
			}
			m := refMember{keyStart: i}
			if n.kind == '{' {
				end := text()
				m.key = refString(b[i:end])
				i = end
				space()
				i++ // the colon
			}
			m.value = parseTree(b, i)
			i = m.value.end
			if n.kind == '{' {
				n.members = append(n.members, m)
			} else {
				n.elements = append(n.elements, m.value)
			}
		}
		i++
	case '"':
		i = text()
	default:
		for i < len(b) && strings.IndexByte(" \t\r\n,]}", b[i]) < 0 {
			i++
		}
	}
	n.end = i
	return n
}

func refString(b []byte) string {
	var s string
	if json.Unmarshal(b, &s) != nil {
		panic("no string: " + string(b))
	}
	return s
}

func (n *node) depth() int {
	d := 0
	for _, m := range n.members {
		d = max(d, m.value.depth())
	}
	for _, e := range n.elements {
		d = max(d, e.depth())
	}
	if n.kind == '{' || n.kind == '[' {
		d++
	}
	return d
}

// get returns the first value under a key, or nil.
func (n *node) get(key string) *node {
	if n != nil && n.kind == '{' {
		for _, m := range n.members {
			if m.key == key {
				return m.value
			}
		}
	}
	return nil
}

func (n *node) raw(b []byte) string {
	if n == nil {
		return ""
	}
	return string(b[n.start:n.end])
}

func (n *node) text(b []byte) string {
	if n == nil || n.kind != '"' {
		return ""
	}
	return refString(b[n.start:n.end])
}

func (n *node) null() bool { return n == nil || n.kind == 'n' }

func refID(b []byte, n *node) string {
	if n.null() {
		return ""
	}
	var v any
	var s string
	if json.Unmarshal(b[n.start:n.end], &v) != nil {
		s = n.raw(b) // a number that float64 cannot hold
	} else if t, ok := v.(string); ok {
		s = t
	} else {
		t, _ := json.Marshal(v)
		s = string(t)
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || strings.ContainsRune("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0", r) {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}
