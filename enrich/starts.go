package enrich

import (
	"strings"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// startLimiter limits how many sessions of a key may begin in a minute. It takes one
// from the table's count when a message is about to begin a session, and returns
// those that were not used. The zero value does not limit.
type startLimiter struct {
	table   *sessionstate.Table
	key     string
	now     int64
	limit   int
	answers []startAnswer
}

type startAnswer struct {
	message int
	allowed bool
}

var _ session.Limiter = (*startLimiter)(nil)

func (l *startLimiter) reset(r *Request, table *sessionstate.Table, key string) {
	*l = startLimiter{table: table, key: key, now: r.Received, limit: r.MaxStarts, answers: l.answers[:0]}
}

// Allow implements [session.Limiter].
func (l *startLimiter) Allow(i int) bool {
	for _, known := range l.answers {
		if known.message == i {
			return known.allowed
		}
	}
	allowed := l.table.TakeStarts(strings.Clone(l.key), l.now, 1, l.limit) > 0
	l.answers = append(l.answers, startAnswer{i, allowed})
	return allowed
}

// settle returns what was taken for messages that did not begin a session, because
// the session changed meanwhile; or for all messages, if the store has failed.
func (l *startLimiter) settle(decisions []session.Decision, failed bool) {
	unused := 0
	for _, a := range l.answers {
		if a.allowed && (failed || !decisions[a.message].Because.Began) {
			unused++
		}
	}
	if unused > 0 {
		l.table.GiveStarts(l.key, l.now, unused)
	}
	l.answers = l.answers[:0]
}
