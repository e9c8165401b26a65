package shop

// homeTally counts the events of one household at a time.
type homeTally struct {
	sessions map[int64]*sessionTally
	visits   map[uint64]*visitTally
}

// sessionTally counts the events that carry one session id.
type sessionTally struct {
	kind   Kind
	starts int
	// visit is a visit with the id; shared: another visit has it too.
	visit  uint64
	shared bool
}

// visitTally is about the session ids of one visit.
type visitTally struct {
	kind     Kind
	sessions []int64
	gaps     bool
}

// count counts the events of one household, which must be sorted.
func (h *homeTally) count(records []record, scores *Scores) {
	if h.sessions == nil {
		h.sessions, h.visits = map[int64]*sessionTally{}, map[uint64]*visitTally{}
	}
	clear(h.sessions)
	clear(h.visits)
	// The backend's events come last, because they look up the devices' visits.
	var first *record
	for i := range records {
		r := &records[i]
		score := &scores.Kinds[r.kind]
		if first != nil && first.event == r.event {
			score.Repeats++
			if first.session != r.session || first.start != r.start {
				score.RepeatsDiffer++
			}
			continue
		}
		first = r
		score.Events++
		if r.backend() {
			h.countBackend(r, score)
		} else {
			h.countDevice(r, score)
		}
	}
	for _, v := range h.visits {
		h.countVisit(v, &scores.Kinds[v.kind])
	}
	for _, s := range h.sessions {
		score := &scores.Kinds[s.kind]
		score.Sessions++
		switch s.starts {
		case 0:
			score.Unstarted++
		case 1:
			score.Started++
		default:
			score.Restarted++
		}
	}
}

func (h *homeTally) countDevice(r *record, score *Score) {
	visit := h.visits[r.visit()]
	if visit == nil {
		visit = &visitTally{kind: r.kind}
		h.visits[r.visit()] = visit
	}
	if r.session == 0 {
		visit.gaps = true
		score.Unassigned++
		return
	}
	s := h.sessions[r.session]
	if s == nil {
		s = &sessionTally{kind: r.kind, visit: r.visit()}
		h.sessions[r.session] = s
	}
	s.shared = s.shared || s.visit != r.visit()
	if r.start {
		s.starts++
	}
	visit.carry(r.session)
}

// carry notes that an event of the visit carries a session id.
func (v *visitTally) carry(session int64) {
	if !v.carries(session) {
		v.sessions = append(v.sessions, session)
	}
}

func (v *visitTally) carries(session int64) bool {
	for i := len(v.sessions) - 1; i >= 0; i-- {
		if v.sessions[i] == session {
			return true
		}
	}
	return false
}

func (h *homeTally) countBackend(r *record, score *Score) {
	s := h.sessions[r.session]
	if s != nil && r.start {
		s.starts++
	}
	switch visit := h.visits[r.visit()]; {
	case r.outside():
		score.Outside++
		if r.session != 0 {
			score.OutsideWith++
		}
	case r.session == 0:
		score.Backend++
		score.BackendWithout++
	default:
		score.Backend++
		if visit != nil && visit.carries(r.session) && !s.shared {
			score.BackendFound++
		}
	}
}

func (h *homeTally) countVisit(v *visitTally, score *Score) {
	score.Visits++
	merged := false
	for _, id := range v.sessions {
		merged = merged || h.sessions[id].shared
	}
	split := len(v.sessions) > 1
	switch {
	case !merged && !split && !v.gaps:
		score.Found++
		return
	case v.gaps:
		score.Gaps++
	}
	if split {
		score.Split++
	}
	if merged {
		score.Merged++
	}
}
