package sessionstate

// segmented is a least-recently-used table in two parts, so that keys that come
// once, in whatever number, push out none that are in use.
//
// A key begins in the part that is on probation, from whose end keys are
// evicted. Its next use moves it to the part that is protected, if it comes
// after as many new keys as half of the smallest probation: uses before that
// belong to the visit that brought the key (a startSession and the events behind
// it), and say nothing of its coming back. What is used least recently of a
// protected part that is full goes on probation again.
//
// So a key that is used at least once while a tenth as many new keys come as the
// table holds stays in it, as long as those that are used so often are not more
// than four fifths of it.
type segmented struct {
	index
	// size is how many keys fit.
	size                 int
	probation, protected list
	// born counts the keys that have come, but for 0.
	born uint32
}

func (s *segmented) reset(size int) { *s = segmented{size: size} }

// smallest is how many keys are on probation in a full table at least.
func (s *segmented) smallest() int { return max(s.size/5, 1) }

// use returns the place of a key, or nil, and marks it as used.
func (s *segmented) use(key string, hash uint32) *place {
	p := s.find(key, hash)
	if p == nil {
		return nil
	}
	r := p.entry
	e := s.at(r)
	switch {
	case e.protected():
		s.protected.refresh(&s.index, r)
	case s.born-e.born < uint32(s.smallest()/2):
		s.probation.refresh(&s.index, r)
	default:
		s.probation.remove(&s.index, r)
		e.born = 0
		s.protected.push(&s.index, r)
		s.demote()
	}
	return p
}

func (e *entry) protected() bool { return e.born == 0 }

// demote puts on probation again what is too much in the protected part.
func (s *segmented) demote() {
	for s.protected.n > s.size-s.smallest() {
		r := s.protected.last
		s.protected.remove(&s.index, r)
		s.at(r).born = max(s.born, 1)
		s.probation.push(&s.index, r)
	}
}

// add puts a key that is not there, and returns how many made room for it.
func (s *segmented) add(it item, hash uint32) (evicted int) {
	s.born = max(s.born+1, 1)
	r := s.index.add(it, hash)
	s.at(r).born = s.born
	s.probation.push(&s.index, r)
	return s.evict()
}

func (s *segmented) evict() (evicted int) {
	for ; s.n > s.size; evicted++ {
		s.drop(s.probation.last)
	}
	return evicted
}

func (s *segmented) remove(key string, hash uint32) {
	if p := s.find(key, hash); p != nil {
		s.drop(p.entry)
	}
}

func (s *segmented) drop(r ref) {
	if s.at(r).protected() {
		s.protected.remove(&s.index, r)
	} else {
		s.probation.remove(&s.index, r)
	}
	s.index.remove(r)
}

// resize returns how many keys had to go.
func (s *segmented) resize(size int) (evicted int) {
	s.size = size
	s.demote()
	return s.evict()
}

// each calls fn for what there is, first for what would go first.
func (s *segmented) each(fn func(p *place, protected bool)) {
	for _, l := range []*list{&s.probation, &s.protected} {
		for r := l.last; r != 0; r = s.at(r).behind {
			fn(s.placeOf(r), l == &s.protected)
		}
	}
}

// take puts what a place of another table has into this one, as what was used
// last of its part, and returns how many made room for it. The other table stays
// as it is: somebody may be about to look through it.
func (s *segmented) take(of *place, protected bool) (evicted int) {
	r := s.index.add(of.item, of.hash)
	if protected {
		s.protected.push(&s.index, r)
		s.demote()
	} else {
		s.at(r).born = max(s.born, 1)
		s.probation.push(&s.index, r)
	}
	return s.evict()
}

// list is entries in the order of their use.
type list struct {
	// first was used last, last was not used for longest.
	first, last ref
	n           int
}

func (l *list) push(x *index, r ref) {
	e := x.at(r)
	e.before, e.behind = l.first, 0
	if l.first != 0 {
		x.at(l.first).behind = r
	} else {
		l.last = r
	}
	l.first = r
	l.n++
}

func (l *list) remove(x *index, r ref) {
	e := x.at(r)
	if e.behind != 0 {
		x.at(e.behind).before = e.before
	} else {
		l.first = e.before
	}
	if e.before != 0 {
		x.at(e.before).behind = e.behind
	} else {
		l.last = e.behind
	}
	l.n--
}

func (l *list) refresh(x *index, r ref) {
	if l.first != r {
		l.remove(x, r)
		l.push(x, r)
	}
}
