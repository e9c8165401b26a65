package caddymodule

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/rudder-session/rudder-session/sessionstate"
)

var (
	lineOfError = regexp.MustCompile(`Caddyfile:\d+`)
	nameOfError = regexp.MustCompile(`^(automatic|timeout|cutoff|identify_reset|control_events|write_keys|max_body|on_store_error|prefix|source|capacity|retention)\b`)
)

// FuzzCaddyfile reads any tokens as the directive and as the global option. Invalid
// tokens give an error with a line. Valid ones survive a round trip through JSON, and can
// be provisioned, unless the value of a placeholder is wrong, which the error then names.
func FuzzCaddyfile(f *testing.F) {
	files, err := filepath.Glob("testdata/caddyfile/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	block := regexp.MustCompile(`(?s)rudder_session[^\n]*\{.*?\n\t?\}`)
	f.Add([]byte("rudder_session"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, seed := range block.FindAll(text, -1) {
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tokens, err := caddyfile.Tokenize(text, "Caddyfile")
		if err != nil || len(tokens) == 0 {
			return
		}
		h := new(Handler)
		if accepts(t, h, tokens) {
			roundTrip(t, h, new(Handler))
			h.app = &App{settings: sessionstate.Settings{Retention: 1}}
			named(t, h.readOptions(), text)
		}
		a := new(App)
		if accepts(t, a, tokens) {
			roundTrip(t, a, new(App))
			named(t, a.readOptions(), text)
		}
	})

}

func accepts(t *testing.T, u caddyfile.Unmarshaler, tokens []caddyfile.Token) bool {
	err := u.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens))
	if err != nil && !lineOfError.MatchString(err.Error()) {
		t.Fatalf("no line in %q", err)
	}
	return err == nil
}

// named checks that only a placeholder can still be wrong, and that the error
// names the option.
func named(t *testing.T, err error, text []byte) {
	if err != nil && (!bytes.Contains(text, []byte("{")) || !nameOfError.MatchString(err.Error())) {
		t.Fatalf("accepted, but: %v", err)
	}
}

func roundTrip(t *testing.T, from, to caddy.Module) {
	text, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.StrictUnmarshalJSON(text, to); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if again, _ := json.Marshal(to); !bytes.Equal(again, text) {
		t.Fatalf("%s became %s", text, again)
	}
}
