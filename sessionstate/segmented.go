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
	items map[string]*entry
	// size is how many keys fit.
	size                 int
	probation, protected list
	// born counts the keys that have come.
	born uint32
}

// entry is a key of a segmented table.
type entry struct {
	before, behind *entry
	key            string
	value          packed
	// born is what segmented.born was when the key went on probation.
	born uint32
	kept bool // is protected
}

func (s *segmented) reset(size int) {
	*s = segmented{items: map[string]*entry{}, size: size}
	s.probation.init()
	s.protected.init()
}

// smallest is how many keys are on probation in a full table at least.
func (s *segmented) smallest() int { return max(s.size/5, 1) }

// use returns what is there of a key, or nil, and marks it as used.
func (s *segmented) use(key string) *entry {
	e := s.items[key]
	switch {
	case e == nil:
	case e.kept:
		s.protected.refresh(e)
	case s.born-e.born < uint32(s.smallest()/2):
		s.probation.refresh(e)
	default:
		s.probation.remove(e)
		e.kept = true
		s.protected.push(e)
		s.demote()
	}
	return e
}

// demote puts on probation again what is too much in the protected part.
func (s *segmented) demote() {
	for s.protected.n > s.size-s.smallest() {
		e := s.protected.last()
		s.protected.remove(e)
		e.kept, e.born = false, s.born
		s.probation.push(e)
	}
}

// add puts a key that is not there, and returns how many made room for it.
func (s *segmented) add(key string, v packed) (evicted int) {
	s.born++
	e := &entry{key: key, value: v, born: s.born}
	s.items[key] = e
	s.probation.push(e)
	return s.evict()
}

func (s *segmented) evict() (n int) {
	for ; len(s.items) > s.size; n++ {
		s.drop(s.probation.last())
	}
	return n
}

func (s *segmented) remove(key string) {
	if e := s.items[key]; e != nil {
		s.drop(e)
	}
}

func (s *segmented) drop(e *entry) {
	if e.kept {
		s.protected.remove(e)
	} else {
		s.probation.remove(e)
	}
	delete(s.items, e.key)
}

// resize returns how many keys had to go.
func (s *segmented) resize(size int) (evicted int) {
	s.size = size
	s.demote()
	return s.evict()
}

// each calls fn for the entries, those first that would go first.
func (s *segmented) each(fn func(*entry)) {
	for _, l := range []*list{&s.probation, &s.protected} {
		for e := l.last(); e != nil; {
			next := e.before
			fn(e)
			if e = next; e == &l.root {
				e = nil
			}
		}
	}
}

// take puts what an entry of another table has into this one, as the one used
// last of its part, and returns how many made room for it. The other table stays
// as it is: somebody may be about to look through it.
func (s *segmented) take(of *entry) (evicted int) {
	e := &entry{key: of.key, value: of.value, kept: of.kept, born: s.born}
	s.items[e.key] = e
	if e.kept {
		s.protected.push(e)
		s.demote()
	} else {
		s.probation.push(e)
	}
	return s.evict()
}

// list is entries in the order of their use, the last one first.
type list struct {
	root entry
	n    int
}

func (l *list) init() { l.root.before, l.root.behind = &l.root, &l.root }

// last returns the entry that was used least recently, nil if there is none.
func (l *list) last() *entry {
	if l.n == 0 {
		return nil
	}
	return l.root.before
}

func (l *list) push(e *entry) {
	e.before, e.behind = &l.root, l.root.behind
	e.behind.before, l.root.behind = e, e
	l.n++
}

func (l *list) remove(e *entry) {
	e.before.behind, e.behind.before = e.behind, e.before
	e.before, e.behind = nil, nil
	l.n--
}

func (l *list) refresh(e *entry) {
	if l.root.behind != e {
		l.remove(e)
		l.push(e)
	}
}
