package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Value is the value of an option: a string, in which global placeholders such
// as `{env.TIMEOUT}` are replaced when the configuration is loaded. A value that is
// a number below 2^53 may be a number in JSON, too.
type Value string

// maxNumber limits JSON numbers to those that stay exact: Caddy decodes every
// configuration into float64 before a module sees it.
const maxNumber = 1 << 53

// UnmarshalJSON accepts a JSON string or number. A number that may have lost digits
// is an error. The error does not contain the number, which may be a password.
func (v *Value) UnmarshalJSON(b []byte) error {
	var number json.Number
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(v))
	}
	err := json.Unmarshal(b, &number)
	var typeErr *json.UnmarshalTypeError
	if errors.As(err, &typeErr) {
		// The calling decoder adds the option's name.
		typeErr.Type = reflect.TypeFor[string]()
	}
	if n, _ := number.Float64(); math.Abs(n) >= maxNumber {
		return &json.UnmarshalTypeError{
			Value: "number from 2^53 on, which is not kept exactly (write it in quotes),", Type: reflect.TypeFor[string](),
		}
	}
	*v = Value(number)
	return err
}

// MarshalJSON writes whole numbers that stay exact as numbers.
func (v Value) MarshalJSON() ([]byte, error) {
	if n, err := strconv.ParseUint(string(v), 10, 63); err == nil && n < maxNumber && strconv.FormatUint(n, 10) == string(v) {
		return []byte(v), nil
	}
	return json.Marshal(string(v))
}

// resolve replaces placeholders. An unknown or empty one is an error.
func (v Value) resolve() (string, error) {
	return caddy.NewReplacer().ReplaceOrErr(string(v), true, true)
}

// Read replaces the placeholders in an option's value and parses it. An option that
// is not set has its default. Errors begin with the option's name.
func Read[T any](name string, v Value, parse func(string) (T, error), byDefault T) (T, error) {
	if v == "" {
		return byDefault, nil
	}
	text, err := v.resolve()
	if err != nil {
		return byDefault, fmt.Errorf("%s: %w", name, err)
	}
	parsed, err := parse(text)
	if err != nil {
		return byDefault, fmt.Errorf("%s: %w", name, err)
	}
	return parsed, nil
}

// OneOf makes a parser that accepts a few words.
func OneOf[T any](words []string, values []T) func(string) (T, error) {
	return func(text string) (T, error) {
		for i, word := range words {
			if text == word {
				return values[i], nil
			}
		}
		var none T
		return none, fmt.Errorf("%q is none of %s", text, strings.Join(words, ", "))
	}
}

var (
	parseAutomatic = OneOf([]string{"sdk", "adopt", "proxy", "off"}, []session.AutomaticPolicy{
		session.AutomaticSDK, session.AutomaticAdopt, session.AutomaticProxy, session.AutomaticOff,
	})
	parseIdentifyReset = OneOf([]string{"web", "always", "never"}, []session.IdentifyReset{
		session.IdentifyResetWeb, session.IdentifyResetAlways, session.IdentifyResetNever,
	})
	parseOnStoreError = OneOf([]string{"pass", "reject"}, []bool{false, true})
)

// ParseDuration parses a duration of at least a millisecond, in whole milliseconds.
func ParseDuration(text string) (time.Duration, error) {
	d, err := caddy.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration: %w", text, err)
	}
	if d < time.Millisecond {
		return 0, fmt.Errorf("%q is too short", text)
	}
	return d.Truncate(time.Millisecond), nil
}

// ParseDurationOrOff is ParseDuration, with 0 for "off".
func ParseDurationOrOff(text string) (time.Duration, error) {
	if text == "off" {
		return 0, nil
	}
	return ParseDuration(text)
}

func parseMilliseconds(text string) (int64, error) {
	d, err := ParseDuration(text)
	return d.Milliseconds(), err
}

func parseMillisecondsOrOff(text string) (int64, error) {
	d, err := ParseDurationOrOff(text)
	return d.Milliseconds(), err
}

func parseCapacity(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is no number of sessions from 1", text)
	}
	return n, nil
}

// ParseMaxSessions parses how many sessions a store may keep, with 0 for "off".
func ParseMaxSessions(text string) (int64, error) {
	if text == "off" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > 1e12 {
		return 0, fmt.Errorf("%q is no number of sessions from 1, nor off", text)
	}
	return n, nil
}

// parseMaxStarts parses a number of sessions a minute, with 0 for "off".
func parseMaxStarts(text string) (int, error) {
	if text == "off" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1e9 {
		return 0, fmt.Errorf("%q is no number of sessions a minute from 1, nor off", text)
	}
	return n, nil
}

// largestBody is the largest body in which 32 bits hold every position.
const largestBody = 1 << 30

// ParseBodySize makes a parser of a body's size in bytes. The example is for its
// errors.
func ParseBodySize(example string) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := humanize.ParseBytes(text)
		if err != nil {
			return 0, fmt.Errorf("%q is no size, such as %s", text, example)
		}
		if n < 1 || n > largestBody {
			return 0, fmt.Errorf("%q is not between 1 byte and 1GiB", text)
		}
		return int(n), nil
	}
}

func parsePrefix(text string) (string, error) {
	switch {
	case !strings.HasPrefix(text, "/"):
		return "", fmt.Errorf("%q does not begin with a slash", text)
	case strings.HasSuffix(text, "/"):
		return "", fmt.Errorf("%q ends with a slash", text)
	case strings.ContainsAny(text, "?#* "):
		return "", fmt.Errorf("%q is no path", text)
	}
	return text, nil
}

// parseName parses a name for a metric label: short, so that it stays readable, and
// only of letters, digits, and . _ -
func parseName(text string) (string, error) {
	if len(text) > 64 || !isName.MatchString(text) {
		return "", fmt.Errorf("%q is no name of up to 64 letters, digits, and . _ -", text)
	}
	return text, nil
}

var isName = regexp.MustCompile(`^[\p{L}\p{N}._-]+$`)

// parseNames parses the three names of control_events.
func parseNames(names []string) (n enrich.Names, err error) {
	if len(names) == 0 {
		return enrich.Names{Start: "startSession", End: "endSession", Reset: "resetSession"}, nil
	}
	if len(names) != 3 {
		return n, fmt.Errorf("control_events: three names are needed, to start, end and reset, not %d", len(names))
	}
	names, err = ReadAll("control_events", names)
	if err != nil {
		return n, err
	}
	return enrich.Names{Start: names[0], End: names[1], Reset: names[2]}, nil
}

// ReadAll replaces the placeholders in the values of an option. An empty or repeated
// value is an error.
func ReadAll(name string, values []string) ([]string, error) {
	resolved := make([]string, 0, len(values))
	seen := map[string]bool{}
	for _, v := range values {
		text, err := Value(v).resolve()
		if err == nil && text == "" {
			err = errors.New("an empty value")
		}
		if err == nil && seen[text] {
			err = fmt.Errorf("%q stands twice", v)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		seen[text] = true
		resolved = append(resolved, text)
	}
	return resolved, nil
}
