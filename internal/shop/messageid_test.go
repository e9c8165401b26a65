package shop

import "testing"

func TestMessageID(t *testing.T) {
	for _, m := range []MessageID{
		{},
		{Household: 1, Device: 2, Kind: WebV1, Visit: 3, Number: 4},
		{Household: 1<<32 - 1, Device: 255, Kind: kinds - 1, Visit: 0xfff, Number: 0xfff, Backend: true},
		{Household: 199_999, Number: 1, Backend: true},
	} {
		text := string(m.Append(nil))
		if got, ok := ParseMessageID(text); !ok || got != m {
			t.Errorf("%s: %+v, %t, want %+v", text, got, ok, m)
		}
		for i := range text {
			other := []byte(text)
			other[i] = "01"[other[i]&1^1]
			if other[i] == text[i] {
				continue
			}
			if _, ok := ParseMessageID(string(other)); ok {
				t.Errorf("%s is taken for an id of this package", other)
			}
		}
	}
	for _, text := range []string{"", "7d55f496-e87f-46d7-ab82-f374876020db", "00000001-0000-4001-8001-00000000000g", "0"} {
		if _, ok := ParseMessageID(text); ok {
			t.Errorf("%q is taken for an id of this package", text)
		}
	}
}
