package manage

import (
	"slices"
	"strings"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/sessionstate"
)

// TableInfo are the figures of a table.
type TableInfo struct {
	Table    string  `json:"table"`
	Sessions int     `json:"sessions"`
	Capacity int     `json:"capacity"`
	Hits     uint64  `json:"cache_hits"`
	Misses   uint64  `json:"cache_misses"`
	Evicted  uint64  `json:"cache_evictions"`
	Delayed  int     `json:"delayed_writes"`
	Down     float64 `json:"store_down"`
}

// NewTableInfo returns the figures of a table.
func NewTableInfo(name string, s sessionstate.Stats) TableInfo {
	return TableInfo{name, s.Sessions, s.Capacity, s.Hits, s.Misses, s.Evictions, s.Delayed, s.Down}
}

// Tables returns the figures of the tables that are open, by name.
func Tables() []TableInfo {
	all := []TableInfo{}
	caddymodule.EachTable(func(name string, s sessionstate.Stats) { all = append(all, NewTableInfo(name, s)) })
	slices.SortFunc(all, func(a, b TableInfo) int { return strings.Compare(a.Table, b.Table) })
	return all
}
