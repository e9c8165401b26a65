package enrich

import (
	"strings"
	"testing"
)

// Key is the session key of a source's user.
func Key(writeKey, anonymousID, userID string) string {
	return (&Request{WriteKey: writeKey}).Key(anonymousID, userID)
}

// TestSharedKeys: with Share, all sources have the same key, which differs from each
// source's key without it.
func TestSharedKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []string{"a", "b", strings.Repeat("x", 300)} {
		for _, user := range []bool{false, true} {
			anonymousID, userID := id, ""
			if user {
				anonymousID, userID = "", id
			}
			one := (&Request{WriteKey: "one", Share: true}).Key(anonymousID, userID)
			if other := (&Request{WriteKey: "two", Share: true}).Key(anonymousID, userID); other != one {
				t.Errorf("%.20q: %q and %q", id, one, other)
			}
			for _, key := range []string{one, Key("", anonymousID, userID), Key("one", anonymousID, userID)} {
				if seen[key] {
					t.Errorf("%q stands for two", key)
				}
				seen[key] = true
				parsed, err := ParseKey(key)
				if err != nil || parsed.Key() != key || parsed.Shared != (key == one) || !parsed.Of(id, user) {
					t.Errorf("%q: %+v, %v", key, parsed, err)
				}
			}
		}
	}
}
