package session

import (
	"fmt"
	"slices"
)

// Interval is a part of a key's time that belongs to one value: from the event that
// showed it to the start of the next interval.
type Interval[T comparable] struct {
	Value T
	// From is the time of the first event of the interval, Last that of the newest one
	// that is known: event times, in Unix milliseconds.
	From, Last int64
}

const (
	// MaxIntervals is the maximum length of a list of intervals.
	MaxIntervals = 32
	// MaxValues is how many users of a device, or devices of a user, are kept: the most
	// recent ones.
	MaxValues = 8
)

// intervalAt returns the index of the interval that holds at time t, or -1
// before the first.
func intervalAt[T comparable](list []Interval[T], t int64) int {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].From <= t {
			return i
		}
	}
	return -1
}

// observe returns the list after an event of a value at time t. It does not change
// the given list. Last is moved only if the event is newer by more than grain, in
// milliseconds, because otherwise every event would cause a write.
//
// If several events have the same time, the one that arrives last counts. A late
// event within an interval of another value splits that interval: what is known is
// that the other value held before the event, and at Last. The time between the two
// goes to the late event.
func observe[T comparable](list []Interval[T], value T, t, grain int64) ([]Interval[T], Change) {
	i := intervalAt(list, t)
	if i >= 0 && list[i].Value == value {
		if t-list[i].Last <= grain {
			return list, Unchanged
		}
		list = slices.Clone(list)
		list[i].Last = t
		return list, CacheOnly
	}
	if i < 0 && len(list) == MaxIntervals {
		return list, Unchanged // older than all that there is room for
	}
	next := make([]Interval[T], 0, len(list)+2)
	next = append(next, list[:i+1]...)
	split := i >= 0 && list[i].Last > t
	if split {
		next[i].Last = list[i].From
	}
	next = appendInterval(next, Interval[T]{value, t, t})
	if split {
		next = appendInterval(next, Interval[T]{list[i].Value, list[i].Last, list[i].Last})
	}
	for _, s := range list[i+1:] {
		next = appendInterval(next, s)
	}
	next = bounded(next)
	if slices.Equal(next, list) {
		return list, Unchanged
	}
	return next, Write
}

// appendInterval appends an interval, or makes the last one longer if it is of
// the same value.
func appendInterval[T comparable](list []Interval[T], s Interval[T]) []Interval[T] {
	n := len(list)
	if n > 0 && list[n-1].From == s.From {
		n--
		list = list[:n]
	}
	if n > 0 && list[n-1].Value == s.Value {
		list[n-1].Last = s.Last
		return list
	}
	return append(list, s)
}

// since drops the intervals that ended by time t.
func since[T comparable](list []Interval[T], t int64) []Interval[T] {
	for len(list) > 1 && list[1].From <= t {
		list = list[1:]
	}
	return list
}

// bounded drops the oldest intervals if the list is too long or has too many values.
func bounded[T comparable](list []Interval[T]) []Interval[T] {
	list = list[max(len(list)-MaxIntervals, 0):]
	seen := make([]T, 0, MaxValues)
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case slices.Contains(seen, list[i].Value):
		case len(seen) == MaxValues:
			return list[i+1:]
		default:
			seen = append(seen, list[i].Value)
		}
	}
	return list
}

func checkIntervals[T comparable](name string, list []Interval[T]) error {
	if len(list) > MaxIntervals {
		return fmt.Errorf("%s: %d, more than %d", name, len(list), MaxIntervals)
	}
	if len(bounded(list)) < len(list) {
		return fmt.Errorf("%s: of more than %d different ones", name, MaxValues)
	}
	for i := range list {
		switch {
		case list[i].Last < list[i].From:
			return fmt.Errorf("%s[%d]: ends before it begins", name, i)
		case i > 0 && list[i].From <= list[i-1].From:
			return fmt.Errorf("%s[%d]: begins before the one before it", name, i)
		}
	}
	return nil
}
