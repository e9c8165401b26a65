package enrich

import (
	"errors"
	"reflect"
	"testing"
)

// TestOutcomeAdd: each count is added, also those that there are not yet.
func TestOutcomeAdd(t *testing.T) {
	var one, sum Outcome
	count(t, reflect.ValueOf(&one).Elem())
	if sum.Add(&one); !reflect.DeepEqual(sum, one) {
		t.Errorf("added to nothing it is\n%+v, not\n%+v", sum, one)
	}
	if sum.Add(&one); sum.Stamped != 2 {
		t.Errorf("twice 1 is %d", sum.Stamped)
	}
}

// count sets everything in v to 1, or to what is nearest to it.
func count(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			count(t, v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			count(t, v.Index(i))
		}
	case reflect.Int:
		v.SetInt(1)
	case reflect.Uint32:
		v.SetUint(1)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		v.Set(reflect.ValueOf(errors.New("one")))
	default:
		t.Fatalf("this test is to learn of %s", v.Type())
	}
}
