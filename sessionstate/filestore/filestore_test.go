package filestore_test

import (
	"path/filepath"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) sessionstate.Store {
		s, err := filestore.Open(filepath.Join(t.TempDir(), "sessions.db"), filestore.Log{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
