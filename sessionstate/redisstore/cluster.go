package redisstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// slots is how many there are in a Cluster.
const slots = 16384

// slot returns the slot of a key: the CRC16 (XMODEM) of it, or of what is in its
// first braces, as the Cluster specification has it.
func slot(key string) int {
	if i := strings.IndexByte(key, '{'); i >= 0 {
		if j := strings.IndexByte(key[i+1:], '}'); j > 0 {
			key = key[i+1 : i+1+j]
		}
	}
	crc := uint16(0)
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}

// slotsInterval is how often a Cluster is asked whether slots have moved.
const slotsInterval = time.Second

// followSlots forgets what was read when slots have moved: the node that had a
// key tells when it gives away a session, but not when it gives away that there
// is none.
func (s *Store) followSlots() {
	defer s.link.probing.Done()
	ticker := time.NewTicker(slotsInterval)
	defer ticker.Stop()
	for last := ""; ; {
		if s.link.cluster.Load() {
			now, err := s.slotOwners()
			if err == nil && last != "" && now != last {
				s.invalidated(nil)
			}
			if err == nil {
				last = now
			}
		}
		select {
		case <-s.link.stop:
			return
		case <-ticker.C:
		}
	}
}

// slotOwners returns which master has which slots, in a form that can be
// compared.
func (s *Store) slotOwners() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	client := *s.link.client.Load()
	ranges, err := client.Do(ctx, client.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		return "", err
	}
	var owners strings.Builder
	for _, r := range ranges {
		// From, to, the master, its replicas; a node is address, port and id.
		parts, err := r.ToArray()
		if err != nil || len(parts) < 3 {
			return "", fmt.Errorf("CLUSTER SLOTS: %w", err)
		}
		node, err := parts[2].ToArray()
		if err != nil || len(node) < 3 {
			return "", fmt.Errorf("CLUSTER SLOTS: %w", err)
		}
		fmt.Fprintln(&owners, text(parts[0]), text(parts[1]), text(node[2]))
	}
	return owners.String(), nil
}

func text(m rueidis.RedisMessage) string {
	if n, err := m.AsInt64(); err == nil {
		return fmt.Sprint(n)
	}
	s, _ := m.ToString()
	return s
}
