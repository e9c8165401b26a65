package session_test

import (
	"reflect"
	"testing"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestEveryFieldIsStored, also those that there are not yet.
func TestEveryFieldIsStored(t *testing.T) {
	for _, s := range sessiontest.Samples(t) {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		checkDecoded(t, Append(nil, s), s)
		if c := s.Clone(); !reflect.DeepEqual(c, s) {
			t.Errorf("cloned as %+v, not %+v", c, s)
		}
	}
}
