//go:build sdk

// Package sdk keeps the SDK among the requirements of this module. The programs
// that use it are made of snippets.
package sdk

import _ "github.com/rudderlabs/analytics-go/v4"
