package caddymodule

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// TestMergeSettings: of each setting, also of those that there are not yet, two
// configurations get the same, whichever of them came first.
func TestMergeSettings(t *testing.T) {
	var less, more sessionstate.Settings
	for i := range reflect.TypeFor[sessionstate.Settings]().NumField() {
		reflect.ValueOf(&less).Elem().Field(i).SetInt(1)
		reflect.ValueOf(&more).Elem().Field(i).SetInt(2)
	}
	merged := mergeSettings(less, more)
	if other := mergeSettings(more, less); merged != other {
		t.Errorf("merged they are %+v, and in the other order %+v", merged, other)
	}
	if want := (sessionstate.Settings{Capacity: 2, Retention: 2, MaxStored: 2, FlushInterval: 1}); merged != want {
		t.Errorf("merged they are %+v, not %+v", merged, want)
	}
	less.MaxStored = 0 // no limit
	if got := mergeSettings(more, less).MaxStored; got != 0 {
		t.Errorf("the limit is %d, where one has none", got)
	}
}

// TestEveryStoreCanBeBuilt: each store is in the standard build, or a tag of its name
// links it, which xcaddy.sh sets, and whoever misses it is told how to build it.
func TestEveryStoreCanBeBuilt(t *testing.T) {
	stores, err := os.ReadDir("stores")
	if err != nil || len(stores) == 0 {
		t.Fatal(err, stores)
	}
	standard, err := os.ReadFile("../imports.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, store := range stores {
		name := store.Name()
		if path := "/caddymodule/stores/" + name; !strings.Contains(string(standard), path+`"`) {
			linked, err := os.ReadFile("../cmd/caddy/" + name + ".go")
			if err != nil || !strings.HasPrefix(string(linked), "//go:build "+name+"\n") || !strings.Contains(string(linked), path+`"`) {
				t.Errorf("%s: cmd/caddy/%s.go is to import it, with the build tag %s: %v", name, name, name, err)
			}
			if !strings.Contains(storeHints[name], path) {
				t.Errorf("%s: storeHints does not tell how to build it", name)
			}
		}
	}
}
