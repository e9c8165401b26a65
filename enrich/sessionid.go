package enrich

import (
	"errors"
	"strconv"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// The rules for session ids. A caller who breaks one is told it.
var (
	errIDType    = errors.New("sessionId must be a number, or a string of digits")
	errIDDecimal = errors.New("sessionId must be an integer")
	errIDSign    = errors.New("sessionId must be positive")
	errIDShort   = errors.New("sessionId must have at least 10 digits")
	errIDLarge   = errors.New("sessionId must be at most " + strconv.FormatInt(session.MaxID, 10))
)

// parseSessionID parses a sessionId: a JSON number or a string of digits that is an
// integer from session.MinID to session.MaxID. It returns 0 if it is missing or
// null.
func parseSessionID(value []byte) (int64, error) {
	if len(value) == 0 || value[0] == 'n' {
		return 0, nil
	}
	digits, exponent := make([]byte, 0, 32), 0
	switch {
	case value[0] == '"':
		text := unescape(nil, value[1:len(value)-1])
		if len(text) == 0 || scanDigits(text, 0) != len(text) {
			return 0, errIDType
		}
		digits = append(digits, text...)
	case value[0] == '-':
		return 0, errIDSign
	case isDigit(value[0]):
		digits, exponent = decimal(digits, value)
	default:
		return 0, errIDType
	}
	for len(digits) > 0 && digits[0] == '0' {
		digits = digits[1:]
	}
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits, exponent = digits[:len(digits)-1], exponent+1
	}
	const maxDigits = 16
	switch size := len(digits) + exponent; {
	case len(digits) == 0:
		return 0, errIDSign
	case exponent < 0:
		return 0, errIDDecimal
	case size > maxDigits:
		return 0, errIDLarge
	}
	id := int64(0)
	for _, c := range digits {
		id = id*10 + int64(c-'0')
	}
	for ; exponent > 0; exponent-- {
		id *= 10
	}
	switch {
	case id < session.MinID:
		return 0, errIDShort
	case id > session.MaxID:
		return 0, errIDLarge
	}
	return id, nil
}

// decimal appends the digits of a JSON number that is not negative, and returns the
// power of ten by which to multiply them.
func decimal(digits, number []byte) ([]byte, int) {
	exponent, i := 0, 0
	for ; i < len(number) && isDigit(number[i]); i++ {
		digits = append(digits, number[i])
	}
	if i < len(number) && number[i] == '.' {
		for i++; i < len(number) && isDigit(number[i]); i++ {
			digits = append(digits, number[i])
			exponent--
		}
	}
	if i < len(number) {
		// Atoi fails for exponents that no id can have, and returns the largest int,
		// which would overflow below.
		e, _ := strconv.Atoi(string(number[i+1:]))
		exponent += min(max(e, -1<<30), 1<<30)
	}
	return digits, exponent
}
