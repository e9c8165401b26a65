package enrich

import (
	"context"
	"testing"
)

// TestEventsWithoutMessageID: a repeated event without a messageId is recognized if it has
// a timestamp. Without one, an equal event may be a new one.
func TestEventsWithoutMessageID(t *testing.T) {
	for _, c := range []struct {
		body  string
		again bool
	}{
		{`{"anonymousId":"a","event":"x","originalTimestamp":"2026-11-23T08:58:51.871Z","sentAt":"2026-11-23T08:58:51.871Z"}`, true},
		{`{"anonymousId":"a","event":"x","timestamp":"2026-11-23T08:58:51.871Z","messageId":" "}`, true},
		{`{"anonymousId":"a","event":"x"}`, false},
		{`{"anonymousId":"a","event":"x","originalTimestamp":null,"messageId":5}`, false},
		{`{"anonymousId":"a","event":"x","messageId":"m"}`, true},
	} {
		r, table, _ := fuzzRequest(t, byte(Track), 0)
		for i, marked := range []bool{true, c.again} {
			r.Serial = uint64(7 * i)
			if result := Enrich(context.Background(), table, r, []byte(c.body)); result.Stamped != 1 || len(result.Marks) > 0 != marked {
				t.Errorf("%s: marked is %v the %d. time", c.body, !marked, i+1)
			}
		}
	}
}
