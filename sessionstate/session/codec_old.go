package session

import "slices"

// Formats 1 to 3, which are only read. They had event times alone and at most 8
// segments:
//
//	format   1 byte
//	version  8 bytes, big endian
//	seen     varint, relative to the version's milliseconds
//	head     1 byte: number of segments, and 0x80 if older ones were dropped
//	segments, each:
//	  shape  2 bytes: mode, origin, and which of the fields below are there
//	  from   varint, relative to the last segment's, the first one's to seen
//	  id, last  varints, relative to from
//	  mark, cause, user  8 bytes each
//	  userAt varint, relative to from
//
// In an ended segment, last and mark were those of the newest endSession. Format 3 had
// links after the segments and, after these, a device's sessions of the SDK's own:
//
//	sdk      1 byte: how many, and 0x80 if a timeout follows; each:
//	  from   varint, relative to the last one's, the first one's to seen
//	  last, id  varints, relative to from
//	timeout, cutoff  varints
//
// In format 1, seen and the first segment's from were absolute.

const oldMaxSegments = 8

func (d *decoder) oldSession(format byte, s *Session) {
	from := int64(0)
	s.Seen = d.varint()
	if format != 1 {
		s.Seen += s.Version.Millis()
		from = s.Seen
	}
	head := d.byte()
	s.Truncated = head&dropped != 0
	n := d.segmentsOf(s, int(head&^dropped), oldMaxSegments)
	for i := range n {
		s.Segments[i] = d.oldSegment(from)
		from = s.Segments[i].From.Time
	}
	if format == 3 {
		d.links(s)
		d.oldSDKSessions(s)
	}
}

func (d *decoder) oldSegment(from int64) (s Segment) {
	const (
		hasID, hasLast, hasMark, hasCause = 1 << 6, 1 << 7, 1 << 8, 1 << 9
		causeIsMark, hasUser, hasUserAt   = 1 << 10, 1 << 11, 1 << 12
	)
	shape := uint16(d.byte()) | uint16(d.byte())<<8
	s.Mode, s.Origin = Mode(shape&7), Origin(shape>>3&7)
	if s.Mode > Automatic || s.Origin > ByIdentify {
		d.short = true
	}
	s.From.Time = from + d.varint()
	from = s.From.Time
	if shape&hasID != 0 {
		s.ID = from + d.varint()
	}
	if shape&hasLast != 0 {
		s.Last.Time = from + d.varint()
	}
	if shape&hasMark != 0 {
		s.Mark = MessageID(d.uint64())
	}
	if shape&causeIsMark != 0 {
		s.Cause = s.Mark
	} else if shape&hasCause != 0 {
		s.Cause = MessageID(d.uint64())
	}
	if shape&hasUser != 0 {
		s.User = UserID(d.uint64())
	}
	if shape&hasUserAt != 0 {
		s.UserAt.Time = from + d.varint()
	}
	switch {
	case s.Mode == Ended:
		if s.Last.Time > from {
			s.LastEnd, s.LastEndBy = s.Last, s.Mark
		}
		s.Last, s.Mark = Moment{}, 0
	case s.Mode == None && s.Origin == ByEvent:
		s.Origin = ByOpening // no other event began such a session
	}
	return s
}

// oldSDKSessions reads the SDK's own sessions. They become adopted ones where the
// timeline has nothing else, the newest ones if there is not room for all.
func (d *decoder) oldSDKSessions(s *Session) {
	n := d.byte()
	if n&^dropped > MaxIntervals {
		d.short = true
		return
	}
	from := s.Seen
	for range n &^ dropped {
		from += d.varint()
		last := from + d.varint()
		id := from + d.varint()
		if !d.short {
			s.AddSDKSession(id, from, last)
		}
	}
	if n&dropped != 0 {
		s.Timeout, s.Cutoff = d.varint(), d.varint()
		d.short = d.short || s.Timeout == 0
	}
}

// AddSDKSession adds a session of the SDK's own as earlier releases recorded it: its id,
// and the event times of its first and its newest event. It becomes an adopted session
// where the timeline has nothing else. If there is no room, it replaces the oldest
// adopted one.
func (s *Session) AddSDKSession(id, from, last int64) {
	if id < MinID || id > MaxID {
		return
	}
	line := timeline{segments: s.Segments}
	if i := line.indexOf(id); i >= 0 {
		if seg := &s.Segments[i]; seg.Mode == Adopted {
			seg.Last.Time = max(seg.Last.Time, last)
		}
		return
	}
	m := At(from)
	i := line.at(&m)
	if i >= 0 && (s.Segments[i].Mode == Manual || s.Segments[i].Mode == Ended) {
		return
	}
	if len(s.Segments) == MaxSegments {
		oldest := slices.IndexFunc(s.Segments, func(x Segment) bool { return x.Mode == Adopted })
		if oldest < 0 || oldest > i {
			return
		}
		s.Segments = slices.Delete(s.Segments, oldest, oldest+1)
		i--
	}
	s.Segments = slices.Insert(s.Segments, i+1, Segment{From: m, Last: At(last), Mode: Adopted, ID: id, Origin: ByEvent})
}
