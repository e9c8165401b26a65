package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// roomScript makes room in one server, if it has too many sessions. In each round it
// samples random keys, and deletes the fifth of the sampled sessions that was written
// longest ago. So its work is limited, and it deletes sessions that are among the
// least recently seen, like Redis' own approximated LRU.
//
// The version of a session tells when it was written. It is in the bytes that
// swapScript reads, too, and compares as text. Keys without the prefix are not ours:
// the number of our keys is estimated from their share of the sample.
//
//	ARGV[1]  the prefix
//	ARGV[2]  how many sessions may stay; -1: only count them
//	ARGV[3]  the number of rounds
//
// It returns about how many sessions there are now.
const roomScript = `local prefix, most = ARGV[1], tonumber(ARGV[2])
local ours = 0
for round = 1, tonumber(ARGV[3]) do
  local total = redis.call('DBSIZE')
  if total == 0 then return 0 end
  local seen, found, looked = {}, {}, math.min(100, total)
  local hits = 0
  for i = 1, looked do
    local key = redis.call('RANDOMKEY')
    if key and string.sub(key, 1, #prefix) == prefix then
      hits = hits + 1
      if most >= 0 and not seen[key] then
        seen[key] = true
        local v = redis.pcall('GET', key)
        if type(v) == 'string' and #v >= 9 then found[#found + 1] = {string.sub(v, 2, 9), key} end
      end
    end
  end
  ours = math.floor(total * hits / looked)
  if most < 0 or ours <= most then return ours end
  table.sort(found, function(a, b) return a[1] < b[1] end)
  local go = math.min(math.ceil(#found / 5), ours - most)
  for i = 1, go do redis.call('DEL', found[i][2]) end
  ours = ours - go
end
return ours`

const (
	// rounds limits the work of one call, to 100 deleted sessions.
	rounds = 5
	// roomInterval is how often the number of sessions is checked if some were added;
	// it is checked sooner if many were.
	roomInterval = time.Second
	// roomTimeout limits one call.
	roomTimeout = 5 * time.Second
)

// Bound sets about how many sessions are kept; 0 is no limit. Beyond that, the sessions
// that were not seen for the longest time are forgotten in the background.
func (s *Store) Bound(sessions int64) {
	if s.bound.Swap(sessions) != sessions {
		s.trimSoon()
	}
}

// Full returns false: new sessions are always accepted, and room is made afterwards.
func (s *Store) Full() bool { return false }

// Spare does nothing, because one process does not know which sessions others use.
func (s *Store) Spare(func(key string) bool) {}

// countNew counts added sessions. Room is made at the next roomInterval, or at once if a
// sixteenth of the bound, and at least 1000, were added.
func (s *Store) countNew(n int64) {
	if bound := s.bound.Load(); bound > 0 && s.newSessions.Add(n) >= max(bound/16, 1000) {
		s.trimSoon()
	}
}

func (s *Store) trimSoon() {
	select {
	case s.trimWake <- struct{}{}:
	default:
	}
}

// makeRoom forgets sessions whenever there are too many, until the store is closed. It
// uses connections without tracking, so that this process, too, gets an invalidation of
// each session that is deleted.
func (s *Store) makeRoom() {
	defer s.link.background.Done()
	ticker := time.NewTicker(roomInterval)
	defer ticker.Stop()
	var client rueidis.Client
	defer func() {
		if client != nil {
			client.Close()
		}
	}()
	due := false
	for {
		select {
		case <-s.link.stop:
			return
		case <-s.trimWake:
			due = true
		case <-ticker.C:
			due = due || s.newSessions.Load() > 0
		}
		bound := s.bound.Load()
		if !due || bound == 0 || s.link.client.Load() == nil {
			continue
		}
		var err error
		if client == nil {
			if client, err = s.connectUntracked(); err != nil {
				client = nil
				continue
			}
		}
		s.newSessions.Store(0)
		if due = s.trim(client, bound) != nil; due {
			client.Close() // try again at the next tick
			client = nil
		}
	}
}

// trim forgets sessions until there are no more than bound. In a Cluster, each master
// loses sessions in proportion to those that it has.
func (s *Store) trim(client rueidis.Client, bound int64) error {
	masters, err := s.masters(client)
	if err != nil {
		return err
	}
	for {
		total := int64(0)
		counts := make([]int64, len(masters))
		for i, node := range masters {
			if counts[i], err = s.runRoomScript(node, -1, 1); err != nil {
				return err
			}
			total += counts[i]
		}
		if total <= bound {
			return nil
		}
		for i, node := range masters {
			if _, err := s.runRoomScript(node, int64(float64(bound)*float64(counts[i])/float64(total)), rounds); err != nil {
				return err
			}
		}
		select {
		case <-s.link.stop:
			return nil
		default:
		}
	}
}

// runRoomScript runs roomScript at a node.
func (s *Store) runRoomScript(node rueidis.Client, most int64, rounds int) (sessions int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), roomTimeout)
	defer cancel()
	return node.Do(ctx, node.B().Eval().Script(roomScript).Numkeys(0).
		Arg(s.prefix, strconv.FormatInt(most, 10), strconv.Itoa(rounds)).Build()).AsInt64()
}

// masters returns the nodes that are masters.
func (s *Store) masters(client rueidis.Client) (masters []rueidis.Client, err error) {
	for _, node := range client.Nodes() {
		ctx, cancel := context.WithTimeout(context.Background(), roomTimeout)
		role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
		cancel()
		if err != nil {
			return nil, err
		}
		if len(role) == 0 {
			return nil, ownError("ROLE: an empty answer")
		}
		if name, _ := role[0].ToString(); name == "master" {
			masters = append(masters, node)
		}
	}
	return masters, nil
}
