package sessiontest_test

import (
	"reflect"
	"testing"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// sample is a session with lists that have an entry.
func sample() *session.Session {
	return &session.Session{Segments: make([]session.Segment, 1), Links: make([]session.Interval[string], 1)}
}

// TestSameSeesEveryField changes each field, including those that may be added later.
func TestSameSeesEveryField(t *testing.T) {
	if !sessiontest.Same(sample(), sample()) || !sessiontest.Same(nil, nil) || sessiontest.Same(sample(), nil) || sessiontest.Same(nil, sample()) {
		t.Fatal("what is the same is not, or what is not is")
	}
	changed := 0
	// visit changes the value at a path of fields and indexes, if it is a leaf.
	var visit func(path []int, at reflect.Value, name string)
	visit = func(path []int, at reflect.Value, name string) {
		switch at.Kind() {
		case reflect.Struct:
			for i := range at.NumField() {
				visit(append(path, i), at.Field(i), name+"."+at.Type().Field(i).Name)
			}
			return
		case reflect.Array, reflect.Slice:
			for i := range at.Len() {
				visit(append(path, i), at.Index(i), name+"[]")
			}
			if at.Kind() == reflect.Array {
				return
			}
		}
		s := sample()
		v := reflect.ValueOf(s).Elem()
		for _, i := range path {
			if v.Kind() == reflect.Struct {
				v = v.Field(i)
			} else {
				v = v.Index(i)
			}
		}
		for _, next := range changes(t, v, name) {
			v.Set(next)
			changed++
			if sessiontest.Same(s, sample()) || sessiontest.Same(sample(), s) || reflect.DeepEqual(s, sample()) {
				t.Errorf("%s is now %v, and still the same", name, next)
			}
		}
	}
	visit(nil, reflect.ValueOf(sample()).Elem(), "Session")
	if changed < 30 {
		t.Errorf("%d changes", changed)
	}
	none, empty := sample(), sample()
	none.Links, empty.Links = nil, []session.Interval[string]{}
	if sessiontest.Same(none, empty) || reflect.DeepEqual(none, empty) {
		t.Error("none is the same as an empty list")
	}
}

// changes returns values that differ from a field's value.
func changes(t *testing.T, v reflect.Value, name string) []reflect.Value {
	t.Helper()
	switch v.Kind() {
	case reflect.Bool:
		return []reflect.Value{reflect.ValueOf(true).Convert(v.Type())}
	case reflect.String:
		return []reflect.Value{reflect.ValueOf("x").Convert(v.Type())}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return []reflect.Value{reflect.ValueOf(1).Convert(v.Type())}
	case reflect.Slice:
		return []reflect.Value{reflect.Zero(v.Type()), reflect.MakeSlice(v.Type(), 0, 0), reflect.MakeSlice(v.Type(), v.Len()+1, v.Len()+1)}
	}
	t.Fatalf("%s is a %s: Same and this test are to learn of it", name, v.Kind())
	return nil
}
