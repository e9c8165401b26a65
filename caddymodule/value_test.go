package caddymodule_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/caddymodule"
)

// TestValueSurvivesConfigs: a value that an adapter has written survives float64, through
// which it goes because Caddy decodes each configuration before its modules do.
func TestValueSurvivesConfigs(t *testing.T) {
	for _, text := range []string{
		"", "0", "7", "007", "-1", "+1", "1.0", "0.10", "1e5", "500ms", " 1", "0x10", "NaN",
		"9007199254740991", "9007199254740992", "9007199254740993", "12345678901234567890", "18446744073709551616",
		"98765432109876543210987654321098765432109876543210", "-9007199254740993",
	} {
		written, err := json.Marshal(caddymodule.Value(text))
		if err != nil {
			t.Fatal(err)
		}
		var any any
		if err := json.Unmarshal(written, &any); err != nil {
			t.Fatal(err)
		}
		rewritten, err := json.Marshal(any)
		if err != nil {
			t.Fatal(err)
		}
		var got caddymodule.Value
		if err := json.Unmarshal(rewritten, &got); err != nil || string(got) != text {
			t.Errorf("%s came as %s, %q, %v", text, rewritten, got, err)
		}
	}
}

// TestValueRefusesNumbers: numbers that float64 may have changed are refused, and not
// repeated in the error, because they may be passwords.
func TestValueRefusesNumbers(t *testing.T) {
	for _, number := range []string{"9007199254740992", "-9007199254740993", "12345678901234567000", "1e+22", "1e400"} {
		var options struct {
			Password caddymodule.Value `json:"password"`
		}
		err := json.Unmarshal([]byte(`{"password": `+number+`}`), &options)
		if err == nil || !strings.Contains(err.Error(), "write it in quotes") || strings.Contains(err.Error(), number) {
			t.Errorf("%s: %v, %q", number, err, options.Password)
		}
	}
	for _, number := range []string{"0", "9007199254740991", "-5", "1.5"} {
		var v caddymodule.Value
		if err := json.Unmarshal([]byte(number), &v); err != nil || string(v) != number {
			t.Errorf("%s: %q, %v", number, v, err)
		}
	}
}
