package session

import "unsafe"

// aliasString returns bytes as a string without a copy. Nobody may change them
// while it is used.
func aliasString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
