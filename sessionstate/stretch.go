package sessionstate

import "slices"

// Stretch is a stretch of a key's time that belongs to one thing: from an event
// that showed so to the beginning of the next stretch.
type Stretch[T comparable] struct {
	Of T
	// From is the event that began it, Last the newest before the next stretch
	// that is known, in Unix milliseconds.
	From, Last int64
}

const (
	// MaxStretches bounds each list of them.
	MaxStretches = 32
	// MaxLinks bounds how many users a device, and how many devices a user has:
	// the most recent ones.
	MaxLinks = 8
)

// stretchAt returns the index of the stretch that holds at time t, or -1 before
// the first.
func stretchAt[T comparable](list []Stretch[T], t int64) int {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].From <= t {
			return i
		}
	}
	return -1
}

// observe notes that an event at time t belonged to a thing. The list is not
// changed: where something is to be, another is returned. Last is moved only by
// more than grain, in milliseconds: with each event there would be something to
// write.
//
// Of events at the same time that which came last holds. Where an event comes
// late, into a stretch of something else, that is known to have been before it
// and at its Last; the time between the two belongs to the late event.
func observe[T comparable](list []Stretch[T], of T, t, grain int64) ([]Stretch[T], Change) {
	i := stretchAt(list, t)
	if i >= 0 && list[i].Of == of {
		if t-list[i].Last <= grain {
			return list, Unchanged
		}
		list = slices.Clone(list)
		list[i].Last = t
		return list, Noted
	}
	if i < 0 && len(list) == MaxStretches {
		return list, Unchanged // older than all that there is room for
	}
	next := make([]Stretch[T], 0, len(list)+2)
	next = append(next, list[:i+1]...)
	split := i >= 0 && list[i].Last > t
	if split {
		next[i].Last = list[i].From
	}
	next = join(next, Stretch[T]{of, t, t})
	if split {
		next = join(next, Stretch[T]{list[i].Of, list[i].Last, list[i].Last})
	}
	for _, s := range list[i+1:] {
		next = join(next, s)
	}
	next = bounded(next)
	if slices.Equal(next, list) {
		return list, Unchanged
	}
	return next, Changed
}

// join appends a stretch, or makes the last one longer if it is of the same.
func join[T comparable](list []Stretch[T], s Stretch[T]) []Stretch[T] {
	n := len(list)
	if n > 0 && list[n-1].From == s.From {
		n--
		list = list[:n]
	}
	if n > 0 && list[n-1].Of == s.Of {
		list[n-1].Last = s.Last
		return list
	}
	return append(list, s)
}

// since drops the stretches that were over at time t.
func since[T comparable](list []Stretch[T], t int64) []Stretch[T] {
	for len(list) > 1 && list[1].From <= t {
		list = list[1:]
	}
	return list
}

// bounded drops the oldest stretches of a list that is too long, or of too many
// things.
func bounded[T comparable](list []Stretch[T]) []Stretch[T] {
	list = list[max(len(list)-MaxStretches, 0):]
	seen := make([]T, 0, MaxLinks)
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case slices.Contains(seen, list[i].Of):
		case len(seen) == MaxLinks:
			return list[i+1:]
		default:
			seen = append(seen, list[i].Of)
		}
	}
	return list
}
