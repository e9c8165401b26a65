package sessiontest

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Samples returns sessions that could be in a store. Together they have something in
// every field: what writes sessions and reads them again is tried with all of them.
// It fails the test where a field is missing here.
func Samples(t *testing.T) []*session.Session {
	t.Helper()
	const at = 1_700_000_000_000
	device := func(ms int64) session.Moment {
		return session.Moment{Time: at + ms, Original: at + ms - 40, Lag: 50, Clock: session.DeviceClock}
	}
	server := func(ms int64) session.Moment {
		return session.Moment{Time: at + ms, Original: at + ms - 3, Lag: 4, Clock: session.ServerClock}
	}
	samples := []*session.Session{{
		Version: at*1000 + 7, Seen: at + 90_000, Truncated: true,
		Segments: []session.Segment{
			{From: device(0), ID: at, Mode: session.Manual, Mark: 1, Cause: 2, User: 3, UserAt: device(10), Last: server(20)},
			{From: server(1000), Mode: session.Ended, Cause: 4, LastEnd: device(2000), LastEndBy: 5},
			{
				From: device(3000), ID: at + 3000, Mode: session.Automatic, Origin: session.ByRestart, Mark: 6, Cause: 6,
				Last: device(9000), Restart: device(4000), RestartWithID: true,
			},
		},
		Links:     []session.Interval[string]{{Value: "uone", From: at, Last: at + 9000}},
		WithoutID: device(5000), NoOps: [session.MaxNoOps]session.MessageID{8, 9},
		Timeout: 1_800_000, Cutoff: 86_400_000,
		Lags: [2]session.Lag{{Lag: 50, At: at + 80_000}, {Lag: 4, At: at + 70_000}},
	}}
	empty := map[string]bool{}
	for _, s := range samples {
		emptyFields(reflect.ValueOf(s).Elem(), "Session", empty)
	}
	for field, is := range empty {
		if is {
			t.Errorf("%s is in no sample: it is to be in one of sessiontest.Samples", field)
		}
	}
	return samples
}

// emptyFields notes which fields have their zero value wherever they are.
func emptyFields(v reflect.Value, name string, empty map[string]bool) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			emptyFields(v.Field(i), fmt.Sprint(name, ".", v.Type().Field(i).Name), empty)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			emptyFields(v.Index(i), name+"[]", empty)
		}
		if v.Len() == 0 {
			empty[name] = true
		}
	default:
		was, known := empty[name]
		empty[name] = v.IsZero() && (was || !known)
	}
}
