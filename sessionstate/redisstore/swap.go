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

// swapScript writes a session if the one that is there has the version that is
// expected, unless it is too late: whoever asked has been told that it failed.
// So a server that was stopped for a while does not carry out what piled up.
//
//	KEYS[1]  the session's key
//	ARGV[1]  until when, in Unix milliseconds of the server
//	ARGV[2]  the version expected, as 8 bytes, or "" for none
//	ARGV[3]  the session
//	ARGV[4]  how long to keep it, in milliseconds; 0 is for ever
//
// It answers what it did (1: written, 0: another version is there, -1: too late)
// and the time. It reads the session last, so that Redis tells the connection of
// the next change that another makes: to write a key ends that.
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

// errLate is what a change comes to that the server got too late.
var errLate error = ownError("the server did not get the change in time, and did not carry it out")

// swap is a change on its way.
type swap struct {
	*sessionstate.Swap
	expected string // the version, as the script wants it
	value    []byte
	// unsure: it was sent, and may have been carried out.
	unsure bool
	open   bool
}

// CompareAndSwap sends all changes at once. One whose answer is lost is sent
// again while there is time: it is seen whether it had been carried out.
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
	fresh := int64(0)
	for _, together := range s.byBreaker(swaps) {
		err := s.link.try(ctx, s.prefix+together[0].Key, func(client rueidis.Client) error {
			return s.send(ctx, client, together)
		})
		for i := range together {
			w := &together[i]
			if w.open && w.Err == nil {
				w.Err = err
			}
			if w.Done && w.Old == 0 {
				fresh++
			}
		}
	}
	if fresh > 0 {
		s.made(fresh)
	}
}

// byBreaker parts changes into those that are sent together.
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

// lateRetries bounds how often a change is sent again because the server's
// clock is not what it was taken for.
const lateRetries = 2

// send sends the changes that are open. The error is one that may go away; what
// the server said of a change is in the change.
func (s *Store) send(ctx context.Context, client rueidis.Client, swaps []swap) error {
	if !s.clock.known() {
		if err := s.askTime(ctx, client); err != nil {
			return err
		}
	}
	for range 1 + lateRetries {
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
		if w.open = false; w.unsure {
			w.Done, w.Err = s.holds(ctx, w)
		}
		if !w.Done && w.Err == nil {
			w.Err = errLate
		}
	}
	return nil
}

// exec runs the script, by its SHA or its text, for the changes that are open,
// and reports whether some still are.
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
			s.own.expect(w.Key)
		}
	}
	unknown := false
	for i, result := range client.DoMulti(ctx, commands...) {
		w := sent[i]
		if answer, err := result.AsIntSlice(); watched && (err != nil || len(answer) != 2 || answer[0] != written) {
			s.own.told(w.Key)
		}
		answer, failed := result.AsIntSlice()
		if of, ok := rueidis.IsRedisErr(failed); ok {
			if strings.HasPrefix(of.Error(), "NOSCRIPT") {
				unknown = true
			} else {
				w.open, w.Err = false, plain(of)
			}
			continue
		}
		if failed == nil && len(answer) != 2 {
			failed = ownError("the script gave no answer")
		}
		if failed != nil {
			w.unsure, err = true, failed
			continue
		}
		s.clock.set(answer[1])
		if answer[0] == tooLate {
			again = true
			continue
		}
		w.open, w.Done = false, answer[0] == written
		if answer[0] == refused && w.unsure {
			w.Done, w.Err = s.holds(ctx, w)
		}
	}
	if unknown && err == nil && script == swapSHA {
		return s.exec(ctx, client, swaps, swapScript)
	}
	return again || unknown, err
}

// holds reports whether the server has the change: then it had been carried
// out, and only the answer was lost.
func (s *Store) holds(ctx context.Context, w *swap) (bool, error) {
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

// clock knows the server's time by what it last said. As its answers take a
// while to arrive, the server's clock is never behind what it is taken for.
type clock struct {
	begun  time.Time
	offset *atomic.Int64 // to the time since begun, in milliseconds; 0 is not known
}

func newClock() clock { return clock{time.Now(), new(atomic.Int64)} }

func (c clock) known() bool { return c.offset.Load() != 0 }

// set notes that by now the server's clock was at least at ms.
func (c clock) set(ms int64) { c.offset.Store(ms - time.Since(c.begun).Milliseconds()) }

// deadline returns the server's time at which a context ends, or a little less:
// what is cut off of milliseconds must not make it late.
func (c clock) deadline(ctx context.Context) int64 {
	at, _ := ctx.Deadline()
	return at.Sub(c.begun).Milliseconds() + c.offset.Load() - 2
}
