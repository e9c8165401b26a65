// Package manage is what people do with the sessions of a running Caddy, and the
// JSON in which they ask and are answered: the admin API serves it, the commands
// speak it, the inspector shows it.
package manage

import (
	"errors"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/enrich"
)

// User is a user, as the admin API and the inspector are asked about one.
type User struct {
	WriteKey    string `json:"write_key,omitempty"`
	AnonymousID string `json:"anonymous_id,omitempty"`
	UserID      string `json:"user_id,omitempty"`
}

var (
	errNoWriteKey = errors.New("write_key is required")
	errNoID       = errors.New("anonymous_id or user_id is required")
	errTwoIDs     = errors.New("anonymous_id and user_id: only one of them")
)

// UserAt is a user at one site, or at all of them if Site is "": options such as
// share_sessions, which say where a user's session is kept, differ from site to
// site.
type UserAt struct {
	User
	// Site is a host that the site serves or, where it serves all, the address on
	// which it listens.
	Site string `json:"site,omitempty"`
}

// scope is a place where the session of a user of one source is kept, with the
// handlers' sites that look there. A user has two where one site has share_sessions
// and another has not.
type scope struct {
	request *enrich.Request
	key     string
	sites   []caddymodule.Site
}

// scopes returns the scopes of a user.
func (u UserAt) scopes(t caddymodule.OpenTable, received int64) ([]scope, error) {
	switch {
	case u.WriteKey == "":
		return nil, errNoWriteKey
	case u.AnonymousID != "" && u.UserID != "":
		return nil, errTwoIDs
	}
	sites, err := t.Sites(u.WriteKey, u.Site)
	if err != nil {
		return nil, err
	}
	var all []scope
	add := func(request *enrich.Request, of ...caddymodule.Site) error {
		key := request.Key(u.AnonymousID, u.UserID)
		if key == "" {
			return errNoID
		}
		for i := range all {
			if all[i].key == key {
				all[i].sites = append(all[i].sites, of...)
				return nil
			}
		}
		all = append(all, scope{request, key, of})
		return nil
	}
	for _, s := range sites {
		if err := add(s.Request(received, enrich.Track, u.WriteKey), s); err != nil {
			return nil, err
		}
	}
	if len(sites) == 0 {
		err = add(&enrich.Request{WriteKey: u.WriteKey, Received: received, Policy: t.DefaultPolicy()})
	}
	return all, err
}
