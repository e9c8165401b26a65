package enrich

import (
	"sort"
	"sync"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// places is where the messages of a request stand that has some of devices and
// some of users.
type places struct {
	// named has where each message stands first, unnamed the control calls without
	// a messageId.
	named   map[session.MessageID]int
	unnamed map[moment][]int
	// owned has whose the devices were, message by message in the order of the body.
	// Hardly ever is that asked.
	owned func() map[moment][]owned
}

// moment is a time of the key of a session.
type moment struct {
	key  string
	time int64
}

// owned is whose a device was with the message that stands there.
type owned struct {
	at   int
	user string
}

func (w *work) places() *places {
	p := &places{named: make(map[session.MessageID]int, len(w.subjects)), unnamed: map[moment][]int{}}
	for i := len(w.subjects) - 1; i >= 0; i-- {
		s := &w.subjects[i]
		why := &s.decision.Because
		switch {
		case s.event.Message != 0:
			p.named[s.event.Message] = i
		case !s.ofUser && (why.Began || why.Ended):
			at := moment{string(s.key.of(w.keys)), s.decision.At.Time}
			p.unnamed[at] = append(p.unnamed[at], i)
		}
	}
	subjects, keys := w.subjects, w.keys
	p.owned = sync.OnceValue(func() map[moment][]owned {
		all := make(map[moment][]owned)
		for i := range subjects {
			if s := &subjects[i]; s.event.Role == session.Device {
				at := moment{string(s.key.of(keys)), s.decision.At.Time}
				all[at] = append(all[at], owned{i, s.decision.Link})
			}
		}
		return all
	})
	return p
}

// before returns what counts for message i of a device's messages of its time.
func (p *places) before(device string, time int64, i int) session.BodyOrder {
	if p == nil {
		return session.BodyOrder{}
	}
	unnamed := 0
	for _, at := range p.unnamed[moment{device, time}] {
		if at > i {
			unnamed++
		}
	}
	return session.BodyOrder{
		Later: func(m session.MessageID) bool {
			if m != 0 {
				return p.named[m] > i
			}
			unnamed--
			return unnamed >= 0
		},
		Owner: func(then, before string) string {
			all := p.owned()[moment{device, time}]
			switch n := sort.Search(len(all), func(n int) bool { return all[n].at > i }); {
			case n > 0:
				return all[n-1].user
			case len(all) > 0:
				return before
			}
			return then
		},
	}
}
