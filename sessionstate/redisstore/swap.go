package redisstore

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// swapScript writes a session if the stored one has the expected version, unless the
// deadline has passed: then the caller has been told that the change failed. So a server
// that was stopped for a while does not carry out the changes that have piled up.
//
//	KEYS[1]  the session's key
//	ARGV[1]  the deadline, in Unix milliseconds of the server
//	ARGV[2]  the expected version, as 8 bytes, or "" for none
//	ARGV[3]  the session
//	ARGV[4]  how long to keep it, in milliseconds; 0 is forever
//
// It returns what it did (1: written, 0: another version is there, -1: too late) and
// the time. Writing a key ends its tracking. So the script reads the session at the end,
// for Redis to send an invalidation when another process changes it.
const swapScript = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if now > tonumber(ARGV[1]) then return {-1, now} end
local v = redis.call('GET', KEYS[1])
if (v and string.sub(v, 2, 9) or '') ~= ARGV[2] then return {0, now} end
if ARGV[4] == '0' then redis.call('SET', KEYS[1], ARGV[3])
else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end
redis.call('GET', KEYS[1])
return {1, now}`

const (
	written = 1
	refused = 0
	tooLate = -1
)

var swapSHA = func() string {
	sum := sha1.Sum([]byte(swapScript))
	return hex.EncodeToString(sum[:])
}()

// errLate is the result of a change that reached the server after its deadline.
var errLate error = ownError("the server did not get the change in time, and did not carry it out")

// swap is a change that is being made.
type swap struct {
	*sessionstate.Swap
	expected string // the expected version, as an argument of the script
	value    []byte
	// maybeDone: the change was sent, and may have been carried out.
	maybeDone bool
	open      bool // there is no result yet
}

// CompareAndSwap sends all changes at once. If the reply to a change is lost, it sends
// that again before the deadline, and finds out whether it had been carried out.
func (s *Store) CompareAndSwap(ctx context.Context, changes []sessionstate.Swap) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	swaps := make([]swap, len(changes))
	for i := range changes {
		c := &changes[i]
		c.Done, c.Err = false, nil
		swaps[i] = swap{Swap: c, value: session.Append(nil, c.Next), open: true}
		if c.Old != 0 {
			swaps[i].expected = string(binary.BigEndian.AppendUint64(nil, uint64(c.Old)))
		}
	}
	added := int64(0)
	for _, group := range s.byBreaker(swaps) {
		err := s.link.try(ctx, s.prefix+group[0].Key, func(client rueidis.Client) error {
			return s.send(ctx, client, group)
		})
		for i := range group {
			w := &group[i]
			if w.open && w.Err == nil {
				w.Err = err
			}
			if w.Done && w.Old == 0 {
				added++
			}
		}
	}
	if added > 0 {
		s.countNew(added)
	}
}

// byBreaker groups changes by their circuit breaker. A group is sent together.
func (s *Store) byBreaker(swaps []swap) [][]swap {
	if len(swaps) == 0 {
		return nil
	}
	if len(swaps) == 1 || !s.link.cluster.Load() {
		return [][]swap{swaps}
	}
	byBreaker := map[*breaker][]swap{}
	for _, w := range swaps {
		b := s.link.breaker(s.prefix + w.Key)
		byBreaker[b] = append(byBreaker[b], w)
	}
	return slices.Collect(maps.Values(byBreaker))
}

// clockRetries limits how often a change is sent again because the server's clock was
// misjudged.
const clockRetries = 2

// send sends the open changes. It returns errors of the connection, which may be
// temporary; the server's reply to a change is set in the change.
func (s *Store) send(ctx context.Context, client rueidis.Client, swaps []swap) error {
	if !s.clock.known() {
		if err := s.askTime(ctx, client); err != nil {
			return err
		}
	}
	for range 1 + clockRetries {
		again, err := s.exec(ctx, client, swaps, swapSHA)
		if err != nil {
			return err
		}
		if !again {
			return nil
		}
	}
	for i := range swaps {
		w := &swaps[i]
		if !w.open {
			continue
		}
		if w.open = false; w.maybeDone {
			w.Done, w.Err = s.hasValue(ctx, w)
		}
		if !w.Done && w.Err == nil {
			w.Err = errLate
		}
	}
	return nil
}

// exec runs the script, given by its SHA or its text, for the open changes, and reports
// whether some are still open.
func (s *Store) exec(ctx context.Context, client rueidis.Client, swaps []swap, script string) (again bool, err error) {
	deadline := strconv.FormatInt(s.clock.deadline(ctx), 10)
	expiry := strconv.FormatInt(s.expiry.Load(), 10)
	var sent []*swap
	var commands rueidis.Commands
	for i := range swaps {
		w := &swaps[i]
		if !w.open {
			continue
		}
		sent = append(sent, w)
		args := []string{deadline, w.expected, rueidis.BinaryString(w.value), expiry}
		if script == swapSHA {
			commands = append(commands, client.B().Evalsha().Sha1(script).Numkeys(1).Key(s.prefix+w.Key).Arg(args...).Build())
		} else {
			commands = append(commands, client.B().Eval().Script(script).Numkeys(1).Key(s.prefix+w.Key).Arg(args...).Build())
		}
	}
	watched := !s.strict && s.watch.Load() != nil
	if watched {
		for _, w := range sent {
			s.ownChanges.expect(w.Key)
		}
	}
	unknown := false
	for i, result := range client.DoMulti(ctx, commands...) {
		w := sent[i]
		if answer, err := result.AsIntSlice(); watched && (err != nil || len(answer) != 2 || answer[0] != written) {
			s.ownChanges.received(w.Key)
		}
		answer, failed := result.AsIntSlice()
		if of, ok := rueidis.IsRedisErr(failed); ok {
			if strings.HasPrefix(of.Error(), "NOSCRIPT") {
				unknown = true
			} else {
				w.open, w.Err = false, sanitized(of)
			}
			continue
		}
		if failed == nil && len(answer) != 2 {
			failed = ownError("the script gave no answer")
		}
		if failed != nil {
			w.maybeDone, err = true, failed
			continue
		}
		s.clock.set(answer[1])
		if answer[0] == tooLate {
			again = true
			continue
		}
		w.open, w.Done = false, answer[0] == written
		if answer[0] == refused && w.maybeDone {
			w.Done, w.Err = s.hasValue(ctx, w)
		}
	}
	if unknown && err == nil && script == swapSHA {
		return s.exec(ctx, client, swaps, swapScript)
	}
	return again || unknown, err
}

// hasValue reports whether the server has the changed session: then the change had been
// carried out, and only the reply was lost.
func (s *Store) hasValue(ctx context.Context, w *swap) (bool, error) {
	b, err := s.get(ctx, w.Key)
	return bytes.Equal(b, w.value), err
}

func (s *Store) askTime(ctx context.Context, client rueidis.Client) error {
	answer, err := client.Do(ctx, client.B().Time().Build()).AsIntSlice()
	if err != nil {
		return err
	}
	if len(answer) != 2 {
		return ownError("TIME: no answer")
	}
	s.clock.set(answer[0]*1000 + answer[1]/1000)
	return nil
}

// clock estimates the server's time from its last reply. Because a reply takes a while
// to arrive, the server's clock is never behind the estimate.
type clock struct {
	start  time.Time
	offset *atomic.Int64 // server time minus the time since start, in milliseconds; 0 is unknown
}

func newClock() clock { return clock{time.Now(), new(atomic.Int64)} }

func (c clock) known() bool { return c.offset.Load() != 0 }

// set updates the estimate: the server's clock has reached ms.
func (c clock) set(ms int64) { c.offset.Store(ms - time.Since(c.start).Milliseconds()) }

// deadline returns the server's time at which a context ends, 2 ms early so that
// rounding does not make it late.
func (c clock) deadline(ctx context.Context) int64 {
	at, _ := ctx.Deadline()
	return at.Sub(c.start).Milliseconds() + c.offset.Load() - 2
}
