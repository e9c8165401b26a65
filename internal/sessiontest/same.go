// Package sessiontest has what tests of sessions and their stores share.
package sessiontest

import (
	"slices"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Same reports whether two sessions are equal, like [reflect.DeepEqual], which takes
// most of the time of a test that compares often when the race detector is on.
func Same(a, b *session.Session) bool {
	if a == nil || b == nil {
		return a == b
	}
	return sameList(a.Segments, b.Segments) && sameList(a.Links, b.Links) &&
		a.Version == b.Version && a.Seen == b.Seen && a.Truncated == b.Truncated && a.WithoutID == b.WithoutID &&
		a.NoOps == b.NoOps && a.Timeout == b.Timeout && a.Cutoff == b.Cutoff && a.Lags == b.Lags
}

// sameList distinguishes nil from an empty list, like DeepEqual.
func sameList[T comparable](a, b []T) bool {
	return (a == nil) == (b == nil) && slices.Equal(a, b)
}
