package session

import "encoding/binary"

type decoder struct {
	rest  []byte
	short bool
	lags  [2]int64
}

func (d *decoder) session(s *Session) {
	s.Seen = s.Version.Millis() + d.varint()
	head, parts := d.byte(), d.byte()
	s.Truncated = head&dropped != 0
	for i := range s.Lags {
		if parts&(partDeviceLag<<i) != 0 {
			s.Lags[i].Lag = d.varint()
			s.Lags[i].At = s.Seen + d.varint()
			d.lags[i] = s.Lags[i].Lag
			d.short = d.short || s.Lags[i].At == 0
		}
	}
	n := d.segmentsOf(s, int(head&^dropped), MaxSegments)
	from := s.Seen
	for i := range n {
		d.segment(&s.Segments[i], from)
		from = s.Segments[i].From.Time
	}
	if parts&partLinks != 0 {
		d.links(s)
	}
	if parts&partTimeout != 0 {
		s.Timeout, s.Cutoff = d.varint(), d.varint()
		d.short = d.short || s.Timeout == 0
	}
	if parts&partWithoutID != 0 {
		clock := uint64(d.byte())
		s.WithoutID = d.moment(clock, s.Seen)
	}
	if parts&partNoOps != 0 {
		for i := range s.NoOps {
			s.NoOps[i] = MessageID(d.uint64())
		}
	}
}

// segmentsOf makes room for n segments in s, and returns how many there are.
func (d *decoder) segmentsOf(s *Session, n, most int) int {
	if d.short || n > most {
		d.short = true
		return 0
	}
	if cap(s.Segments) < n {
		s.Segments = make([]Segment, n)
	}
	s.Segments = s.Segments[:n]
	return n
}

func (d *decoder) segment(s *Segment, from int64) {
	shape := d.uvarint()
	*s = Segment{
		Mode:          Mode(shape >> modeBits & 7),
		Origin:        Origin(shape >> originBits & 7),
		RestartWithID: shape&restartID != 0,
	}
	s.From = d.moment(shape>>fromBits&3, from)
	from = s.From.Time
	if shape&hasID != 0 {
		s.ID = from + d.varint()
	}
	if shape&hasMark != 0 {
		s.Mark = MessageID(d.uint64())
	}
	if shape&causeIsMark != 0 {
		s.Cause = s.Mark
	}
	if shape&hasCause != 0 {
		s.Cause = MessageID(d.uint64())
	}
	if shape&hasUser != 0 {
		s.User = UserID(d.uint64())
	}
	if shape&hasUserAt != 0 {
		s.UserAt = d.moment(shape>>userAtBits&3, from)
	}
	if shape&hasLast != 0 {
		s.Last = d.moment(shape>>lastBits&3, from)
	}
	if shape&hasLastEnd != 0 {
		s.LastEnd = d.moment(shape>>lastEndBits&3, from)
	}
	if shape&hasEndBy != 0 {
		s.LastEndBy = MessageID(d.uint64())
	}
	if shape&hasRestart != 0 {
		s.Restart = d.moment(shape>>restartBits&3, from)
	}
	d.short = d.short || shape>>27 != 0
}

func (d *decoder) moment(clock uint64, base int64) Moment {
	m := Moment{Time: base + d.varint(), Clock: Clock(clock)}
	switch m.Clock {
	case NoClock:
	case DeviceClock, ServerClock:
		last := &d.lags[m.Clock.index()]
		*last += d.varint()
		m.Lag = *last
		m.Original = d.varint() - m.Lag + m.Time
	default:
		d.short = true
	}
	return m
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.short, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.short, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.short = true
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

func (d *decoder) uint64() uint64 {
	if len(d.rest) < 8 {
		d.short, d.rest = true, nil
		return 0
	}
	v := binary.LittleEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return v
}
