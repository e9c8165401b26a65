package sessionstate

import (
	"encoding/binary"
	"unsafe"
)

// longestLink bounds a text of Links, in bytes: a letter, and an id or its hash.
const longestLink = 257

// hasTimeout is set in the number of SDK's sessions where a timeout follows.
const hasTimeout = 0x80

// appendLinks appends what format 3 has behind the segments.
func (s *Session) appendLinks(b []byte) []byte {
	var names [MaxLinks]string
	known := 0
	number := func(name string) byte {
		for i := range known {
			if names[i] == name {
				return byte(i)
			}
		}
		names[known] = name
		known++
		return byte(known - 1)
	}
	for i := range s.Links {
		number(s.Links[i].Of)
	}
	b = append(b, byte(known))
	for _, name := range names[:known] {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	b = append(b, byte(len(s.Links)))
	from := s.Seen
	for i := range s.Links {
		link := &s.Links[i]
		b = append(b, number(link.Of))
		b = link.appendTimes(b, from)
		from = link.From
	}
	sdk := byte(len(s.SDK))
	if s.Timeout != 0 {
		sdk |= hasTimeout
	}
	b = append(b, sdk)
	from = s.Seen
	for i := range s.SDK {
		own := &s.SDK[i]
		b = own.appendTimes(b, from)
		b = binary.AppendVarint(b, own.Of-own.From)
		from = own.From
	}
	if s.Timeout != 0 {
		b = binary.AppendVarint(binary.AppendVarint(b, s.Timeout), s.Cutoff)
	}
	return b
}

func (s *Stretch[T]) appendTimes(b []byte, from int64) []byte {
	return binary.AppendVarint(binary.AppendVarint(b, s.From-from), s.Last-s.From)
}

// links reads what appendLinks wrote.
func (d *decoder) links(s *Session) {
	var names [MaxLinks]string
	known := d.count(MaxLinks)
	for i := range known {
		names[i] = d.text()
	}
	from := s.Seen
	for range d.count(MaxStretches) {
		name := d.count(MaxLinks)
		link := Stretch[string]{}
		link.From = from + d.varint()
		link.Last = link.From + d.varint()
		if d.short || name >= known {
			d.short = true
			return
		}
		link.Of, from = names[name], link.From
		s.Links = append(s.Links, link)
	}
	from = s.Seen
	sdk := d.take(1)[0]
	if sdk&^hasTimeout > MaxStretches {
		d.short = true
		return
	}
	for range sdk &^ hasTimeout {
		own := Stretch[int64]{}
		own.From = from + d.varint()
		own.Last = own.From + d.varint()
		own.Of, from = own.From+d.varint(), own.From
		s.SDK = append(s.SDK, own)
	}
	if sdk&hasTimeout != 0 {
		s.Timeout, s.Cutoff = d.varint(), d.varint()
		d.short = d.short || s.Timeout == 0
	}
}

// count reads a number of at most so much.
func (d *decoder) count(most int) int {
	n := int(d.take(1)[0])
	if n > most {
		d.short, n = true, 0
	}
	return n
}

// text returns a text that is a part of what is read.
func (d *decoder) text() string {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n == 0 || n > longestLink || n > uint64(len(d.rest)-size) {
		d.short, d.rest = true, nil
		return ""
	}
	b := d.rest[size : size+int(n)]
	d.rest = d.rest[size+int(n):]
	return unsafe.String(&b[0], len(b)) // decodeSession says for how long it holds
}
