package session

import "encoding/binary"

// longestLink is the maximum length of a value of Links, in bytes: a letter, and an id
// or its hash.
const longestLink = 257

// appendLinks appends the links:
//
//	names    1 byte: how many different ones there are; each: uvarint length, text
//	links    1 byte: how many; each:
//	  name   1 byte: which name
//	  from   varint, relative to the last one's, the first one's to seen
//	  last   varint, relative to from
func (s *Session) appendLinks(b []byte) []byte {
	var names [MaxValues]string
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
		number(s.Links[i].Value)
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
		b = append(b, number(link.Value))
		b = binary.AppendVarint(binary.AppendVarint(b, link.From-from), link.Last-link.From)
		from = link.From
	}
	return b
}

// links reads what appendLinks wrote.
func (d *decoder) links(s *Session) {
	var names [MaxValues]string
	known := d.count(MaxValues)
	for i := range known {
		names[i] = d.text()
	}
	from := s.Seen
	for range d.count(MaxIntervals) {
		name := d.count(MaxValues)
		link := Interval[string]{}
		link.From = from + d.varint()
		link.Last = link.From + d.varint()
		if d.short || name >= known {
			d.short = true
			return
		}
		link.Value, from = names[name], link.From
		s.Links = append(s.Links, link)
	}
}

// count reads a number that is at most the given one.
func (d *decoder) count(most int) int {
	n := int(d.byte())
	if n > most {
		d.short, n = true, 0
	}
	return n
}

// text reads a text. The string is a part of the bytes that are read.
func (d *decoder) text() string {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n == 0 || n > longestLink || n > uint64(len(d.rest)-size) {
		d.short, d.rest = true, nil
		return ""
	}
	b := d.rest[size : size+int(n)]
	d.rest = d.rest[size+int(n):]
	return aliasString(b) // DecodeInto says for how long it holds
}
