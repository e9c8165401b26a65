package proxytest

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

var inText = regexp.MustCompile(`\$now|\$ago:\d+(?:\.\d+)?|\$pad:\d+`)

// Fill replaces $now and $ago:SECONDS by times, and $pad:N by N bytes of text.
func Fill(text string, now time.Time) string {
	const layout = "2006-01-02T15:04:05.000Z"
	return inText.ReplaceAllStringFunc(text, func(name string) string {
		name, number, _ := strings.Cut(name, ":")
		n, _ := strconv.ParseFloat(number, 64)
		switch name {
		case "$pad":
			return strings.Repeat("x", int(n))
		default:
			return now.Add(-time.Duration(n * float64(time.Second))).UTC().Format(layout)
		}
	})
}

// GeneratedID matches generated session ids.
var GeneratedID = regexp.MustCompile(`^[1-9]\d{9,15}$`)
