package sessionstate

// urgentKeys holds the keys whose changes are to be written at once. Each source has
// a queue of its own, so that it does not wait for another source's keys.
type urgentKeys struct {
	queues map[string][]string
	// order lists the sources with keys, the next one to be served first.
	order []string
}

func (u *urgentKeys) add(source, key string) {
	if u.queues == nil {
		u.queues = map[string][]string{}
	}
	queue, known := u.queues[source]
	if !known {
		u.order = append(u.order, source)
	}
	u.queues[source] = append(queue, key)
}

// next removes and returns at most n keys, taking one of each source in turn.
func (u *urgentKeys) next(n int) (keys []string) {
	for len(u.order) > 0 && len(keys) < n {
		source := u.order[0]
		u.order = u.order[1:]
		queue := u.queues[source]
		keys = append(keys, queue[0])
		if len(queue) == 1 {
			delete(u.queues, source)
			continue
		}
		u.queues[source] = queue[1:]
		u.order = append(u.order, source)
	}
	return keys
}
