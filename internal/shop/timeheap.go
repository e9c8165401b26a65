package shop

// timeHeap is a priority queue by time. Elements with the same time come out in the
// order in which they were pushed.
type timeHeap[T any] struct {
	items  []timeHeapItem[T]
	pushed uint64
}

type timeHeapItem[T any] struct {
	at     int64
	number uint64
	value  T
}

func (i *timeHeapItem[T]) before(other *timeHeapItem[T]) bool {
	return i.at < other.at || i.at == other.at && i.number < other.number
}

// first returns the time of the earliest.
func (h *timeHeap[T]) first() (at int64, ok bool) {
	if len(h.items) == 0 {
		return 0, false
	}
	return h.items[0].at, true
}

func (h *timeHeap[T]) push(at int64, value T) {
	h.pushed++
	h.items = append(h.items, timeHeapItem[T]{at: at, number: h.pushed, value: value})
	for i := len(h.items) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.items[i].before(&h.items[parent]) {
			return
		}
		h.items[i], h.items[parent] = h.items[parent], h.items[i]
		i = parent
	}
}

// pop removes the earliest. The heap must not be empty.
func (h *timeHeap[T]) pop() T {
	top := h.items[0].value
	last := len(h.items) - 1
	h.items[0] = h.items[last]
	h.items[last] = timeHeapItem[T]{}
	h.items = h.items[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return top
		}
		if child+1 < last && h.items[child+1].before(&h.items[child]) {
			child++
		}
		if !h.items[child].before(&h.items[i]) {
			return top
		}
		h.items[i], h.items[child] = h.items[child], h.items[i]
		i = child
	}
}
