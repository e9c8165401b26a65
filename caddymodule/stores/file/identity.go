package file

import (
	"fmt"
	"path/filepath"
	"sync"

	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

// opened holds the open stores by their identity: a file can have several paths,
// through links and relative names, and must be opened only once.
var (
	openedMu sync.Mutex
	opened   = map[string]*registered{}
)

// registered is a store in opened. Close removes it.
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

// Close closes the store and removes it from opened.
func (r *registered) Close() error {
	openedMu.Lock()
	if opened[r.identity] == r {
		delete(opened, r.identity)
	}
	openedMu.Unlock()
	return r.Store.Close()
}

// identify returns the identity of the file at a path. If a store has this file open,
// it is that store's identity. If the file of an open store was deleted, moved or
// replaced, the path now names another file: it gets an identity of its own, and
// replaced is true.
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

// resolve follows the symbolic links in a path; if there is no file yet, those of its
// directory.
func resolve(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return path
}
