package replay

import (
	"bytes"
	"encoding/json"
	"testing"
)

// The same input and policy give the same bytes and the same report, with any number of
// workers and any capacity.
func TestDeterministic(t *testing.T) {
	maxWaiting = 10_000 // so that the temporary file is read and written, again and again
	t.Cleanup(func() { maxWaiting = 16 << 20 })
	text := randomText(7, 500, 600)
	for _, options := range []string{"automatic proxy", "automatic adopt\nfollow_user\nshare_sessions", "automatic off"} {
		t.Run(options, func(t *testing.T) {
			run := func(workers, capacity int) (string, []byte) {
				out, report := replayText(t, text, Options{
					Policies: []Policy{policy(t, options), policy(t, "automatic sdk")},
					Workers:  workers, Capacity: capacity, IDs: true,
				})
				said, err := json.Marshal(report)
				if err != nil {
					t.Fatal(err)
				}
				return out, said
			}
			want, report := run(1, 100_000)
			if want == text {
				t.Error("nothing has changed")
			}
			for _, c := range []struct{ workers, capacity int }{{2, 100_000}, {3, 64}, {8, 1000}} {
				got, said := run(c.workers, c.capacity)
				if got != want {
					t.Errorf("%+v: other bytes", c)
				}
				if !bytes.Equal(said, report) {
					t.Errorf("%+v: another report\n%s\n%s", c, said, report)
				}
			}
		})
	}
}
