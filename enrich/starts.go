package enrich

import "github.com/rudder-session/rudder-session/sessionstate"

// limit takes from what a key may begin in a minute one for each of the events
// that may begin a session, and marks as limited those for which none was left.
// It returns how many it took.
func (r *Request) limit(table *sessionstate.Table, key string, events []sessionstate.Event) (taken int) {
	if r.MaxStarts == 0 || r.DryRun {
		return 0
	}
	for i := range events {
		if events[i].Kind.Starts() {
			taken++
		}
	}
	if taken == 0 {
		return 0
	}
	taken = table.TakeStarts(key, r.Received, taken, r.MaxStarts)
	left := taken
	for i := range events {
		if !events[i].Kind.Starts() {
			continue
		}
		if left--; left < 0 {
			events[i].Limited = true
		}
	}
	return taken
}

// settle gives back what was taken for calls that began nothing: repeats, a
// resetSession where there was no session, or all where the store has failed.
func (r *Request) settle(table *sessionstate.Table, key string, taken int, decisions []sessionstate.Decision, failed bool) {
	if taken == 0 {
		return
	}
	used := 0
	if !failed {
		for i := range decisions {
			if why := &decisions[i].Because; why.Reason == sessionstate.Applied && why.Began {
				used++
			}
		}
	}
	table.GiveStarts(key, r.Received, max(taken-used, 0))
}
