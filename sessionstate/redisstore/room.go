package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// roomScript makes room in one server: it looks at some sessions at random and
// forgets the fifth of them that were written longest ago, a few times over, as
// long as there are more than there may be. So its work is bounded, and whose
// session goes is among those not seen for longest, as with Redis' own LRU.
//
// A session's version tells when it was written; it stands where swapScript reads
// it, and compares as text. What does not begin with the prefix is somebody else's:
// how many of the keys are ours is told by the share of those that were looked at.
//
//	ARGV[1]  the prefix
//	ARGV[2]  how many sessions there may be; -1: none is to go
//	ARGV[3]  how many times
//
// It answers how many sessions there are now, about.
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
	// rounds bounds the work of one call: so many forget 100 sessions.
	rounds = 5
	// roomInterval is how often it is looked whether there is room, if sessions
	// were made meanwhile; sooner if those are many.
	roomInterval = time.Second
	// roomTimeout bounds one call.
	roomTimeout = 5 * time.Second
)

// Bound sets how many sessions are kept, about; 0 for any number. Of more than
// that, those not seen for longest are forgotten in the background.
func (s *Store) Bound(sessions int64) {
	if s.bound.Swap(sessions) != sessions {
		s.crowd()
	}
}

// Full is never so: room is made where others may have filled it.
func (s *Store) Full() bool { return false }

// Spare is not heeded: what one process has in use says nothing of the others.
func (s *Store) Spare(func(key string) bool) {}

// made notes that sessions were made. Room is made after a while, or at once
// where a sixteenth of all that there may be, or 1000, have come since.
func (s *Store) made(n int64) {
	if bound := s.bound.Load(); bound > 0 && s.fresh.Add(n) >= max(bound/16, 1000) {
		s.crowd()
	}
}

func (s *Store) crowd() {
	select {
	case s.crowded <- struct{}{}:
	default:
	}
}

// makeRoom forgets sessions whenever there are too many, until the store is
// closed. It has connections of its own, on which Redis remembers nothing that is
// read: of what is forgotten all are told.
func (s *Store) makeRoom() {
	defer s.link.probing.Done()
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
		case <-s.crowded:
			due = true
		case <-ticker.C:
			due = due || s.fresh.Load() > 0
		}
		bound := s.bound.Load()
		if !due || bound == 0 || s.link.client.Load() == nil {
			continue
		}
		var err error
		if client == nil {
			if client, err = s.apart(); err != nil {
				client = nil
				continue
			}
		}
		s.fresh.Store(0)
		if due = s.thin(client, bound) != nil; due {
			client.Close() // what failed is tried again, at the next tick
			client = nil
		}
	}
}

// thin forgets sessions until there are no more than bound. Of a Cluster's masters
// each loses in proportion to what it has.
func (s *Store) thin(client rueidis.Client, bound int64) error {
	masters, err := s.masters(client)
	if err != nil {
		return err
	}
	for {
		total := int64(0)
		counts := make([]int64, len(masters))
		for i, node := range masters {
			if counts[i], err = s.room(node, -1, 1); err != nil {
				return err
			}
			total += counts[i]
		}
		if total <= bound {
			return nil
		}
		for i, node := range masters {
			if _, err := s.room(node, int64(float64(bound)*float64(counts[i])/float64(total)), rounds); err != nil {
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

// room runs the script at a node.
func (s *Store) room(node rueidis.Client, most int64, rounds int) (sessions int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), roomTimeout)
	defer cancel()
	return node.Do(ctx, node.B().Eval().Script(roomScript).Numkeys(0).
		Arg(s.prefix, strconv.FormatInt(most, 10), strconv.Itoa(rounds)).Build()).AsInt64()
}

// masters returns the nodes that have sessions.
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
