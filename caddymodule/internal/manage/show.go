package manage

import (
	"context"
	"slices"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/caddymodule/internal/record"
	"github.com/rudder-session/rudder-session/enrich"
)

// Timeline is what is known of a user's session at a moment.
type Timeline struct {
	record.Record
	// Known: there is something.
	Known bool `json:"known"`
	// Now is the moment, in Unix milliseconds, and Current the session then; null
	// for none.
	Now     int64  `json:"now"`
	Current *int64 `json:"current"`
	// Sites are those whose session it is, where other sites have another, and
	// Also is that: some share sessions, some do not.
	Sites []string   `json:"sites,omitempty"`
	Also  []Timeline `json:"also,omitempty"`
}

// Show returns the timeline of a user. Of several the first has the others; it is
// one of which something is known, if there is any.
func Show(ctx context.Context, t caddymodule.OpenTable, u UserAt) (Timeline, error) {
	now := t.Now()
	scopes, err := u.scopes(t, now)
	if err != nil {
		return Timeline{}, err
	}
	lines := make([]Timeline, len(scopes))
	for i := range scopes {
		if lines[i], err = showScope(ctx, t, &scopes[i], u.User, now); err != nil {
			return Timeline{}, err
		}
		if len(scopes) > 1 {
			lines[i].Sites = caddymodule.SiteNames(scopes[i].sites)
		}
	}
	slices.SortStableFunc(lines, func(a, b Timeline) int {
		switch {
		case a.Known == b.Known:
			return 0
		case a.Known:
			return -1
		}
		return 1
	})
	lines[0].Also = lines[1:]
	return lines[0], nil
}

func showScope(ctx context.Context, t caddymodule.OpenTable, of *scope, u User, now int64) (Timeline, error) {
	s, err := t.Sessions().Session(ctx, of.key)
	if err != nil {
		return Timeline{}, &enrich.StoreError{Err: err}
	}
	if s != nil && of.request.Policy.Expired(s, now) {
		s = nil
	}
	line := Timeline{Known: s != nil && len(s.Segments)+len(s.Links) > 0, Now: now}
	if line.Record, err = record.Of(of.key, s); err != nil {
		return line, err
	}
	id, err := enrich.Current(ctx, t.Sessions(), of.request, u.AnonymousID, u.UserID)
	if id != 0 {
		line.Current = &id
	}
	return line, err
}
