package replay_test

import (
	"bytes"
	"testing"

	"github.com/rudder-session/rudder-session/caddymodule/replay"
	"github.com/rudder-session/rudder-session/internal/shop"
)

// TestShop replays a small month of the shop, and compares the sessions of each policy
// with what people did.
func TestShop(t *testing.T) {
	var month bytes.Buffer
	if _, err := shop.Generate(&month, shop.Options{Users: 400, Events: 8000, Seed: 2}); err != nil {
		t.Fatal(err)
	}
	score := func(options string) shop.Score {
		t.Helper()
		var out bytes.Buffer
		if _, err := replay.Run(t.Context(), &replay.Options{
			Stdin: bytes.NewReader(month.Bytes()), Output: &out, Capacity: 200, TempDir: t.TempDir(),
			Policies: []replay.Policy{replayPolicy(t, options)},
		}); err != nil {
			t.Fatal(err)
		}
		if options == "automatic sdk" && !bytes.Equal(out.Bytes(), month.Bytes()) {
			t.Error("automatic sdk changes events")
		}
		scores, err := shop.ScoreLines(&out)
		if err != nil {
			t.Fatal(err)
		}
		s := scores.Total
		if s.RepeatsDiffer > 0 {
			t.Errorf("%s: %d of %d repeated deliveries are answered differently", options, s.RepeatsDiffer, s.Repeats)
		}
		return s
	}
	share := func(part, of int) float64 { return float64(part) / float64(of) }

	sdk := score("automatic sdk")
	if sdk.Unstarted == 0 || sdk.Restarted == 0 || sdk.Split == 0 {
		t.Errorf("the SDKs have no faults: %+v", sdk)
	}
	adopt := score("automatic adopt\nfollow_user\nshare_sessions")
	if adopt.Found != sdk.Found || adopt.Sessions != sdk.Sessions || adopt.Started != adopt.Sessions {
		t.Errorf("adopt: %+v; sdk: %+v", adopt, sdk)
	}
	if found := share(adopt.BackendFound, adopt.Backend); found < 0.8 {
		t.Errorf("adopt: %.3f of the backend's events are in their visit", found)
	}
	proxy := score("automatic proxy\nfollow_user\nshare_sessions")
	if found := share(proxy.Found, proxy.Visits); found < 0.9 || proxy.Started != proxy.Sessions || proxy.Unassigned > 0 {
		t.Errorf("proxy: %.3f of the visits are found: %+v", found, proxy)
	}
	if found := share(proxy.BackendFound, proxy.Backend); found < 0.8 {
		t.Errorf("proxy: %.3f of the backend's events are in their visit", found)
	}
}
