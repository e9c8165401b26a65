package redisstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// slots is the number of slots in a Cluster.
const slots = 16384

// slot returns the slot of a key, as the Cluster specification says: the CRC16 (XMODEM)
// of the key or of its hash tag.
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

// slotsInterval is how often to check whether slots have moved.
const slotsInterval = time.Second

// followSlots invalidates everything when slots have moved. A node sends an invalidation
// for a session that moves away, but not for a key that was read and had no session.
func (s *Store) followSlots() {
	defer s.link.background.Done()
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

// slotOwners returns which master has which slots, as a comparable string.
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
		// First slot, last slot, master, replicas. A node is address, port and id.
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
