package sessionstate_test

import (
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Values that earlier versions wrote are read, and stay the same when they are written
// in today's format.
func TestEarlierValues(t *testing.T) {
	text, err := os.ReadFile("testdata/redis-values.txt")
	if err != nil {
		t.Fatal(err)
	}
	formats := map[byte]int{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		key, err := hex.DecodeString(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		value, err := hex.DecodeString(fields[2])
		if err != nil {
			t.Fatal(err)
		}
		s, err := session.Decode(value)
		if err != nil {
			t.Errorf("%s %q: %v", fields[0], key, err)
			continue
		}
		last := s.Segments[len(s.Segments)-1]
		if strings.HasSuffix(string(key), "manual-device") && (last.Mode != session.Manual || last.ID != 1732349999000 || last.Mark == 0 || last.User == 0) ||
			strings.HasSuffix(string(key), "ended-device") && (last.Mode != session.Manual || last.ID != 1732349999001) {
			t.Errorf("%s %q: %+v", fields[0], key, s)
		}
		if again, err := session.Decode(session.Append(nil, s)); err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%s %q: %+v, %v, before %+v", fields[0], key, again, err, s)
		}
		formats[value[0]]++
	}
	if formats[1] != 2 || formats[2] != 2 {
		t.Errorf("there are %v", formats)
	}
}
