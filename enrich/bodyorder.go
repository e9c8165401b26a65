package enrich

import (
	"sort"
	"sync"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// bodyOrder has the positions of messages in the body of a request that has both
// messages of devices and messages of users. Where times are equal, the position
// decides.
type bodyOrder struct {
	// named has the first position of each message that has a messageId, unnamed
	// the positions of control calls without one.
	named   map[session.MessageID]int
	unnamed map[keyTime][]int
	// owners has the owner of each device, message by message, in the order of the
	// body. It is rarely needed, and so computed on demand.
	owners func() map[keyTime][]ownerAt
}

// keyTime is a time on the timeline of a session key.
type keyTime struct {
	key  string
	time int64
}

// ownerAt is the user whose device it was as of the message at a position.
type ownerAt struct {
	position int
	user     string
}

func (w *work) bodyOrder() *bodyOrder {
	o := &bodyOrder{named: make(map[session.MessageID]int, len(w.subjects)), unnamed: map[keyTime][]int{}}
	for i := len(w.subjects) - 1; i >= 0; i-- {
		s := &w.subjects[i]
		why := &s.decision.Because
		switch {
		case s.event.Message != 0:
			o.named[s.event.Message] = i
		case !s.ofUser && (why.Began || why.Ended):
			at := keyTime{string(s.key.of(w.keys)), s.decision.At.Time}
			o.unnamed[at] = append(o.unnamed[at], i)
		}
	}
	subjects, keys := w.subjects, w.keys
	o.owners = sync.OnceValue(func() map[keyTime][]ownerAt {
		all := make(map[keyTime][]ownerAt)
		for i := range subjects {
			if s := &subjects[i]; s.event.Role == session.Device {
				at := keyTime{string(s.key.of(keys)), s.decision.At.Time}
				all[at] = append(all[at], ownerAt{i, s.decision.Link})
			}
		}
		return all
	})
	return o
}

// relativeTo returns the order of a device's messages of one time, as seen from
// the message at position i.
func (o *bodyOrder) relativeTo(i int, device string, time int64) session.BodyOrder {
	if o == nil {
		return session.BodyOrder{}
	}
	unnamed := 0
	for _, at := range o.unnamed[keyTime{device, time}] {
		if at > i {
			unnamed++
		}
	}
	return session.BodyOrder{
		Later: func(m session.MessageID) bool {
			if m != 0 {
				return o.named[m] > i
			}
			unnamed--
			return unnamed >= 0
		},
		Owner: func(after, before string) string {
			all := o.owners()[keyTime{device, time}]
			switch n := sort.Search(len(all), func(n int) bool { return all[n].position > i }); {
			case n > 0:
				return all[n-1].user
			case len(all) > 0:
				return before
			}
			return after
		},
	}
}
