package file

import (
	"fmt"
	"path/filepath"
	"sync"

	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

// opened has the stores that are open, by their identity: a file can have several
// names, through links and relative paths, and must be opened once.
var (
	openedMu sync.Mutex
	opened   = map[string]*registered{}
)

// registered is a store that is open, until it is closed.
type registered struct {
	*filestore.Store
	identity string
}

func register(identity string, s *filestore.Store) *registered {
	openedMu.Lock()
	defer openedMu.Unlock()
	r := &registered{s, identity}
	opened[identity] = r
	return r
}

// Close closes the store.
func (r *registered) Close() error {
	openedMu.Lock()
	if opened[r.identity] == r {
		delete(opened, r.identity)
	}
	openedMu.Unlock()
	return r.Store.Close()
}

// identify returns the identity of the file that a path leads to. If a store has
// it open that is the store's. Where the file of one was taken away, the path
// leads to another file, which is opened beside it: replaced is true.
func identify(path string) (_ string, replaced bool) {
	path = resolve(path)
	openedMu.Lock()
	defer openedMu.Unlock()
	for identity, s := range opened {
		if s.Is(path) {
			return identity, false
		}
	}
	identity := "file " + path
	for n := 2; opened[identity] != nil && opened[identity].Detached(); n++ {
		identity, replaced = fmt.Sprintf("file %s (%d)", path, n), true
	}
	return identity, replaced
}

// resolve follows the links in a path, those of its directory where there is no
// file yet.
func resolve(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return path
}
