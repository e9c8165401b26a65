package manage

import (
	"context"
	"fmt"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// ForgetQuestion is whom to forget.
type ForgetQuestion struct {
	User
	// RemoveSetAside: the files that were set aside are to be deleted.
	RemoveSetAside bool `json:"remove_set_aside,omitempty"`
}

// Forgotten is the result of forgetting a user or device.
type Forgotten struct {
	// Forgotten is how many sessions there were.
	Forgotten int `json:"forgotten"`
	// SetAside are files that could not be read when they were opened, and were set
	// aside: they may have ids in them. Removed are those of them that were deleted.
	SetAside []string `json:"set_aside,omitempty"`
	Removed  []string `json:"removed,omitempty"`
}

// Forget forgets a user, and removes the files that were set aside if it is asked
// to.
func Forget(ctx context.Context, t caddymodule.OpenTable, q ForgetQuestion) (done Forgotten, err error) {
	if done.Forgotten, err = forget(ctx, t, q.User); err != nil {
		return done, err
	}
	if q.RemoveSetAside {
		if done.Removed, err = t.Sessions().RemoveSetAside(); err != nil {
			return done, &enrich.StoreError{Err: fmt.Errorf("the %d were forgotten, but not all files that were set aside are removed: %w", done.Forgotten, err)}
		}
	}
	if done.SetAside, err = t.Sessions().SetAside(); err != nil {
		return done, &enrich.StoreError{Err: err}
	}
	return done, nil
}

// forget removes all that is kept under an anonymousId or a userId: sessions
// under that id and, for a userId, those of the devices that were its user's;
// what others' sessions know of the devices that were removed; and decisions
// about them. A write key restricts it to one source. It returns how many
// sessions there were.
func forget(ctx context.Context, t caddymodule.OpenTable, u User) (n int, err error) {
	if u.AnonymousID != "" && u.UserID != "" {
		return 0, errTwoIDs
	}
	given, err := enrich.ParseKey((&enrich.Request{}).Key(u.AnonymousID, u.UserID))
	if err != nil {
		return 0, errNoID
	}
	text, byUser, user := u.AnonymousID, false, session.UserID(0)
	if u.UserID != "" {
		text, byUser, user = u.UserID, true, enrich.User(u.UserID)
	}
	var keys []string
	ids := []enrich.ID{given}
	type link struct{ key, to string }
	var links []link
	err = t.Sessions().Each(ctx, func(key string, s *session.Session) error {
		id, err := enrich.ParseKey(key)
		if err != nil || u.WriteKey != "" && !id.OfSource(u.WriteKey) {
			return nil //nolint:nilerr // a key of another program is nobody's
		}
		switch {
		case id.Of(text, byUser), s.HasUser(user), byUser && enrich.LinkedTo(s, text, true):
			keys, ids = append(keys, key), append(ids, id)
			for i := range s.Links {
				if other, err := id.To(s.Links[i].Value); err == nil {
					links = append(links, link{other, id.Link()})
				}
			}
		case !byUser && enrich.LinkedTo(s, text, false):
			links = append(links, link{key, enrich.Anonymous(text, id.Shared).Link()})
		}
		return nil
	})
	if err != nil {
		return 0, &enrich.StoreError{Err: err}
	}
	for _, key := range keys {
		if err := t.Sessions().Forget(ctx, key); err != nil {
			return n, &enrich.StoreError{Err: fmt.Errorf("%d of %d were forgotten: %w", n, len(keys), err)}
		}
		n++
	}
	for _, l := range links {
		if err := t.Sessions().Unlink(ctx, l.key, l.to); err != nil {
			return n, &enrich.StoreError{Err: fmt.Errorf("the %d were forgotten, but not all links to them: %w", n, err)}
		}
	}
	t.ForgetDecisions(ids)
	if err := t.Sessions().EraseTraces(ctx); err != nil {
		return n, &enrich.StoreError{Err: fmt.Errorf("the %d were forgotten, but what is left of them in the file may not be overwritten: %w", n, err)}
	}
	return n, nil
}
