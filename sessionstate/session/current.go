package session

// Operations on a session that are not messages of its key.

// Release frees the start mark of session id if message m carries it: the data plane
// has refused that event for good, so another event must carry the mark. It returns s
// itself if there is nothing to free.
func Release(s *Session, m MessageID, id int64) *Session {
	if s == nil || m == 0 {
		return s
	}
	line := timeline{segments: s.Segments}
	for i := range s.Segments {
		if s.Segments[i].ID == id && s.Segments[i].Mark == m {
			line.edit(i).Mark = 0
		}
	}
	if line.change == Unchanged {
		return s
	}
	next := s.Clone()
	next.Version++
	next.Segments = line.segments
	return next
}

// Current returns the id of the session that is current at time now, or 0.
func Current(s *Session, now int64, p *Policy) int64 {
	if s == nil || p.Expired(s, now) {
		return 0
	}
	m := At(now)
	line := timeline{segments: s.Segments}
	line.limitFuture(now)
	i := line.at(&m)
	if i >= 0 && line.segments[i].active(p, &m) {
		return line.segments[i].ID
	}
	if p.Automatic != AutomaticAdopt || i >= 0 && (line.segments[i].Mode == Ended || line.segments[i].Mode == Manual) {
		return 0
	}
	if i = line.currentAdopted(&m, &s.WithoutID, p.Timeout); i >= 0 {
		return line.segments[i].ID
	}
	return 0
}
