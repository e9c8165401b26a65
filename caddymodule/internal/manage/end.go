package manage

import (
	"context"
	"fmt"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/enrich"
)

// EndResult says whether a session was ended.
type EndResult struct {
	Ended bool `json:"ended"`
	// Of says of which, where sites differ in whether they share sessions.
	Of []EndedScope `json:"of,omitempty"`
}

// EndedScope is one of the places where the sessions of a user are kept.
type EndedScope struct {
	Shared bool     `json:"shared"`
	Sites  []string `json:"sites"`
	Ended  bool     `json:"ended"`
}

// End ends the session of a user now, as endSession does, wherever it is kept.
func End(ctx context.Context, t caddymodule.OpenTable, u UserAt) (result EndResult, err error) {
	now := t.Now()
	scopes, err := u.scopes(t, now)
	if err != nil {
		return result, err
	}
	for i := range scopes {
		ended, err := t.End(ctx, scopes[i].key, scopes[i].request.Policy, now)
		if err != nil {
			if result.Ended {
				err = fmt.Errorf("one session was ended, but not the other: %w", err)
			}
			return result, &enrich.StoreError{Err: err}
		}
		result.Ended = result.Ended || ended
		if len(scopes) > 1 {
			result.Of = append(result.Of, EndedScope{scopes[i].request.Share, caddymodule.SiteNames(scopes[i].sites), ended})
		}
	}
	return result, nil
}
