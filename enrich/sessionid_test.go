package enrich

import (
	"errors"
	"testing"
)

func TestParseSessionID(t *testing.T) {
	for value, want := range map[string]int64{
		``: 0, `null`: 0,
		`1234567890`: 1234567890, `"1234567890"`: 1234567890, `"\u0031234567890"`: 1234567890,
		`1234567890.0`: 1234567890, `1.23456789e9`: 1234567890, `1.23456789E+9`: 1234567890,
		`12345678900e-1`: 1234567890, `0.1e11`: 10000000000, `"0001234567890"`: 1234567890,
		`9007199254740991`: 9007199254740991, `9007199254740991.000`: 9007199254740991,
		`1732349999000`: 1732349999000,
	} {
		if got, err := parseSessionID([]byte(value)); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", value, got, err, want)
		}
	}
	for value, want := range map[string]error{
		`"abcdefghij"`: errIDType, `""`: errIDType, `true`: errIDType, `{}`: errIDType, `[1234567890]`: errIDType,
		`"1234567890.0"`: errIDType, `"-1234567890"`: errIDType, `" 1234567890"`: errIDType,
		`1234567890.5`: errIDDecimal, `12345678901e-1`: errIDDecimal, `1e-400`: errIDDecimal, `1e-99999999999999999999`: errIDDecimal,
		`-1234567890`: errIDSign, `-1234567890.5`: errIDSign, `0`: errIDSign, `0.0`: errIDSign, `"0000000000"`: errIDSign,
		`123456789`: errIDShort, `1`: errIDShort, `"0000000001"`: errIDShort, `999999999`: errIDShort,
		`9007199254740992`: errIDLarge, `9007199254740993`: errIDLarge, `1e20`: errIDLarge, `1e400`: errIDLarge,
		`1e99999999999999999999`: errIDLarge, `12345678901234567890`: errIDLarge,
	} {
		if got, err := parseSessionID([]byte(value)); !errors.Is(err, want) {
			t.Errorf("%s: got %d, %v, want %v", value, got, err, want)
		}
	}
}
