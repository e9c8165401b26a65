package session

import "unsafe"

// aliasString returns bytes as a string without copying them. They must not change
// while the string is used.
func aliasString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
