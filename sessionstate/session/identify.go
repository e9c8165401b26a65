package session

// identify, and logout on the web (docs/sessions.md).

// changeUser begins a new session if the event shows another user than that of
// segment i. It returns the index of the event's segment.
func (t *transition) changeUser(e *Event, i int) int {
	seg := &t.segments[i]
	// An adopted session is the SDK's: the SDK itself begins a new one.
	if seg.Mode != Manual && seg.Mode != Automatic || seg.User == 0 ||
		seg.Mode == Automatic && (e.JoinOnly || t.p.Automatic != AutomaticProxy) ||
		Before(&t.when, &seg.UserAt) || t.userChangedAfter() {
		return i
	}
	origin := ByIdentify
	switch {
	case e.Kind == Identify && e.User != 0 && e.User != seg.User:
		if !t.p.identifyResets(e) {
			t.setUser(t.edit(i), e)
			return i
		}
	case e.LoggedOut && Before(&seg.UserAt, &t.when) && t.p.IdentifyReset != IdentifyResetNever:
		origin = ByLogout
	default:
		return i
	}
	s := Segment{From: t.when, Mark: e.Message, Cause: e.Message, Origin: origin}
	s.renew(seg)
	if s.ID = t.offered(e); s.ID == 0 {
		s.ID = t.generate(t.when.Time)
	}
	t.setUser(&s, e)
	t.startManualTimeout(&s)
	t.began, t.ended, t.origin = true, true, origin
	return t.insert(i, s)
}

// offered returns the id that the SDK itself made for the session that a change of
// user begins, if the policy takes it over; otherwise 0.
func (t *transition) offered(e *Event) int64 {
	if t.p.Automatic == AutomaticAdopt && !e.Server && e.HasSessionStart && e.ID != 0 && t.indexOf(e.ID) < 0 {
		return e.ID
	}
	return 0
}

// userChangedAfter reports whether the user changed after the message: a change of
// user began a segment that starts after it.
func (t *transition) userChangedAfter() bool {
	for i := len(t.segments) - 1; i >= 0; i-- {
		s := &t.segments[i]
		if t.body.isLater(s.Cause) {
			continue
		}
		if !Before(&t.when, &s.From) {
			return false
		}
		if s.Origin == ByIdentify || s.Origin == ByLogout {
			return true
		}
	}
	return false
}

func (p *Policy) identifyResets(e *Event) bool {
	switch p.IdentifyReset {
	case IdentifyResetAlways:
		return true
	case IdentifyResetNever:
		return false
	default:
		return !e.Mobile
	}
}
