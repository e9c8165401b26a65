package caddymodule_test

import (
	"fmt"
	"strings"
	"testing"

	_ "github.com/rudder-session/rudder-session/caddymodule/stores/file"
	"github.com/rudder-session/rudder-session/internal/caddyfiletest"
)

// wholeConfig is a configuration with one handler and the app, both given as JSON. An
// empty app is left out.
func wholeConfig(handler, app string) []byte {
	if app != "" {
		app = `, "rudder_session": ` + app
	}
	return fmt.Appendf(nil, `{"apps": {"http": {"servers": {"events": {
		"listen": ["127.0.0.1:0"],
		"routes": [{"handle": [%s]}]
	}}}%s}}`, handler, app)
}

func handlerWith(options string) string {
	if options != "" {
		options = ", " + options
	}
	return `{"handler": "rudder_session"` + options + `}`
}

func setProvisionEnv(t *testing.T) {
	t.Setenv("RUDDER_SESSION_TEST_EMPTY", "")
	for name, value := range map[string]string{
		"TIMEOUT": "45m", "WRITE_KEY": "2abcWebsite", "WORD": "proxy", "CAPACITY": "5000",
		"SIZE": "2MiB", "PREFIX": "/rs", "NAME": "begin", "SHOUT": "PROXY", "BARE": "rs",
	} {
		t.Setenv("RUDDER_SESSION_TEST_"+name, value)
	}
}

// TestProvision loads valid JSON configurations.
func TestProvision(t *testing.T) {
	setProvisionEnv(t)
	for name, options := range map[string]string{
		"nothing":                 ``,
		"words":                   `"automatic": "proxy", "identify_reset": "always", "on_store_error": "reject"`,
		"durations":               `"automatic": "proxy", "timeout": "1d12h", "cutoff": "90m"`,
		"cutoff off":              `"cutoff": "off"`,
		"max_body a number":       `"max_body": 4096000`,
		"max_body a string":       `"max_body": "4096000"`,
		"max_body with a unit":    `"max_body": "4MiB"`,
		"max_body, largest":       `"max_body": 1073741824`,
		"empty strings":           `"automatic": "", "timeout": "", "cutoff": "", "prefix": "", "max_body": ""`,
		"null":                    `"automatic": null, "timeout": null, "max_body": null, "write_keys": null, "sources": null`,
		"control_events":          `"control_events": ["begin", "end", "again"]`,
		"write_keys":              `"write_keys": ["2abcWebsite", "2abcAndroid"]`,
		"sources":                 `"sources": {"2abcAndroid": {"automatic": "off", "timeout": "5m", "cutoff": "1h"}}`,
		"a source without a word": `"sources": {"2abcAndroid": {}}`,
		"shadow":                  `"shadow": true`,
		"prefix":                  `"prefix": "/ingest/rs"`,
		"automatic {env}":         `"automatic": "{env.RUDDER_SESSION_TEST_WORD}"`,
		"timeout {env}":           `"timeout": "{env.RUDDER_SESSION_TEST_TIMEOUT}"`,
		"cutoff {env}":            `"cutoff": "{env.RUDDER_SESSION_TEST_TIMEOUT}"`,
		"max_body {env}":          `"max_body": "{env.RUDDER_SESSION_TEST_SIZE}"`,
		"prefix {env}":            `"prefix": "{env.RUDDER_SESSION_TEST_PREFIX}"`,
		"prefix with {env} in it": `"prefix": "/ingest{env.RUDDER_SESSION_TEST_PREFIX}"`,
		"write_keys {env}":        `"write_keys": ["{env.RUDDER_SESSION_TEST_WRITE_KEY}", "2abcAndroid"]`,
		"control_events {env}":    `"control_events": ["{env.RUDDER_SESSION_TEST_NAME}", "end", "again"]`,
		"sources {env}":           `"sources": {"{env.RUDDER_SESSION_TEST_WRITE_KEY}": {"timeout": "{env.RUDDER_SESSION_TEST_TIMEOUT}"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := caddyfiletest.Validate(t, wholeConfig(handlerWith(options), "")); err != nil {
				t.Error(err)
			}
		})
	}
	for name, app := range map[string]string{
		"app, nothing":              `{}`,
		"app, store":                `{"store": {"module": "memory"}}`,
		"app, capacity a number":    `{"capacity": 250000}`,
		"app, capacity a string":    `{"capacity": "250000"}`,
		"app, capacity {env}":       `{"capacity": "{env.RUDDER_SESSION_TEST_CAPACITY}"}`,
		"app, retention":            `{"retention": "30d"}`,
		"app, retention {env}":      `{"retention": "{env.RUDDER_SESSION_TEST_TIMEOUT}"}`,
		"app, one millisecond":      `{"retention": "1ms"}`,
		"app, all, with null":       `{"store": {"module": "memory"}, "capacity": null, "retention": null}`,
		"app, all, as empty string": `{"capacity": "", "retention": ""}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := caddyfiletest.Validate(t, wholeConfig(handlerWith(""), app)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestProvisionRefuses loads invalid JSON configurations: each is refused with an error
// that names the invalid option.
func TestProvisionRefuses(t *testing.T) {
	setProvisionEnv(t)
	type wrong struct{ options, want string }
	for name, c := range map[string]wrong{
		"an unknown option":           {`"timeouts": "30m"`, `unknown field "timeouts"`},
		"a Caddyfile's option":        {`"source": {"2abcAndroid": {}}`, `unknown field "source"`},
		"an unknown option of source": {`"sources": {"2abcAndroid": {"shadow": true}}`, `unknown field "shadow"`},
		"automatic, no word":          {`"automatic": "on"`, `automatic: "on" is none of sdk, adopt, proxy, off`},
		"automatic, a number":         {`"automatic": 1`, `automatic: "1" is none of sdk, adopt, proxy, off`},
		"timeout, no unit":            {`"timeout": "1800"`, `timeout: "1800" is no duration`},
		"timeout, a number":           {`"timeout": 1800`, `timeout: "1800" is no duration`},
		"timeout, too short":          {`"timeout": "999us"`, `timeout: "999us" is too short`},
		"cutoff, no word":             {`"cutoff": "never"`, `cutoff: "never" is no duration`},
		"identify_reset":              {`"identify_reset": "mobile"`, `identify_reset: "mobile" is none of web, always, never`},
		"on_store_error":              {`"on_store_error": "fail"`, `on_store_error: "fail" is none of pass, reject`},
		"max_body, no size":           {`"max_body": "big"`, `max_body: "big" is no size`},
		"max_body, 0":                 {`"max_body": 0`, `max_body: "0" is not between 1 byte and 1GiB`},
		"max_body, too large":         {`"max_body": 1073741825`, `max_body: "1073741825" is not between 1 byte and 1GiB`},
		"prefix, no slash":            {`"prefix": "rs"`, `prefix: "rs" does not begin with a slash`},
		"prefix, slash behind":        {`"prefix": "/rs/"`, `prefix: "/rs/" ends with a slash`},
		"prefix, pattern":             {`"prefix": "/rs*"`, `prefix: "/rs*" is no path`},
		"control_events, two":         {`"control_events": ["begin", "end"]`, `control_events: three names are needed`},
		"control_events, empty":       {`"control_events": ["begin", "end", ""]`, `control_events: an empty value`},
		"control_events, twice":       {`"control_events": ["begin", "end", "end"]`, `control_events: "end" stands twice`},
		"write_keys, twice":           {`"write_keys": ["k", "k"]`, `write_keys: "k" stands twice`},
		"write_keys, empty":           {`"write_keys": [""]`, `write_keys: an empty value`},
		"sources, empty":              {`"sources": {"": {"automatic": "off"}}`, `source: an empty value`},
		"sources, bad value":          {`"sources": {"2abcAndroid": {"timeout": "5"}}`, `source "2abcAndroid": timeout: "5" is no duration`},

		"automatic, true":       {`"automatic": true`, `Handler.automatic`},
		"timeout, a list":       {`"timeout": ["30m"]`, `Handler.timeout`},
		"cutoff, false":         {`"cutoff": false`, `Handler.cutoff`},
		"identify_reset, a map": {`"identify_reset": {}`, `Handler.identify_reset`},
		"on_store_error, true":  {`"on_store_error": true`, `Handler.on_store_error`},
		"max_body, a list":      {`"max_body": [1]`, `Handler.max_body`},
		"prefix, a list":        {`"prefix": ["/rs"]`, `Handler.prefix`},
		"control_events, a map": {`"control_events": {"start": "begin"}`, `Handler.control_events`},
		"write_keys, a number":  {`"write_keys": [1]`, `Handler.write_keys`},
		"sources, a word":       {`"sources": {"k": "off"}`, `Handler.sources`},
		"sources, false in it":  {`"sources": {"k": {"timeout": false}}`, `sources.timeout`},
		"write_keys, a string":  {`"write_keys": "k"`, `write_keys`},
		"sources, a list":       {`"sources": [{"automatic": "off"}]`, `sources`},
		"shadow, a string":      {`"shadow": "yes"`, `shadow`},
		"shadow, a number":      {`"shadow": 1`, `shadow`},

		"unknown placeholder":         {`"timeout": "{env.RUDDER_SESSION_TEST_NOT_SET}"`, `timeout: `},
		"unknown kind of placeholder": {`"automatic": "{http.request.host}"`, `automatic: `},
		"empty placeholder":           {`"prefix": "{env.RUDDER_SESSION_TEST_EMPTY}"`, `prefix: `},
		"placeholder, no word":        {`"automatic": "{env.RUDDER_SESSION_TEST_SHOUT}"`, `automatic: "PROXY" is none of sdk, adopt, proxy, off`},
		"placeholder, no slash":       {`"prefix": "{env.RUDDER_SESSION_TEST_BARE}"`, `prefix: "rs" does not begin with a slash`},
		"placeholder, no size":        {`"max_body": "{env.RUDDER_SESSION_TEST_WORD}"`, `max_body: "proxy" is no size`},
		"write_keys, unknown":         {`"write_keys": ["{env.RUDDER_SESSION_TEST_NOT_SET}"]`, `write_keys: `},
		"control_events, unknown":     {`"control_events": ["{env.RUDDER_SESSION_TEST_NOT_SET}", "b", "c"]`, `control_events: `},
		"sources, unknown":            {`"sources": {"{env.RUDDER_SESSION_TEST_NOT_SET}": {"automatic": "off"}}`, `source: `},
		"sources, unknown value":      {`"sources": {"k": {"cutoff": "{env.RUDDER_SESSION_TEST_NOT_SET}"}}`, `source "k": cutoff: `},

		"write_keys, twice once replaced": {
			`"write_keys": ["2abcWebsite", "{env.RUDDER_SESSION_TEST_WRITE_KEY}"]`, `write_keys: "{env.RUDDER_SESSION_TEST_WRITE_KEY}" stands twice`,
		},
		"control_events, twice once replaced": {
			`"control_events": ["begin", "end", "{env.RUDDER_SESSION_TEST_NAME}"]`, `control_events: "{env.RUDDER_SESSION_TEST_NAME}" stands twice`,
		},
		"sources, twice once replaced": {
			`"sources": {"2abcWebsite": {"automatic": "off"}, "{env.RUDDER_SESSION_TEST_WRITE_KEY}": {"automatic": "off"}}`, `stands twice`,
		},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, wholeConfig(handlerWith(c.options), ""), c.want) })
	}
	for name, c := range map[string]wrong{
		"app, an unknown option":        {`{"size": 10}`, `unknown field "size"`},
		"app, an unknown store":         {`{"store": {"module": "redis"}}`, `rudder_session.stores.redis`},
		"app, a store without a name":   {`{"store": {}}`, `store: `},
		"app, a store as a string":      {`{"store": "memory"}`, `store: `},
		"app, a store's unknown option": {`{"store": {"module": "memory", "size": 10}}`, `unknown field "size"`},
		"app, capacity, 0":              {`{"capacity": 0}`, `capacity: "0" is no number of sessions from 1`},
		"app, capacity, negative":       {`{"capacity": -1}`, `capacity: "-1" is no number of sessions from 1`},
		"app, capacity, fraction":       {`{"capacity": 1.5}`, `capacity: "1.5" is no number of sessions from 1`},
		"app, capacity, true":           {`{"capacity": true}`, `App.capacity`},
		"app, retention, a list":        {`{"retention": ["30d"]}`, `App.retention`},
		"app, capacity, a word":         {`{"capacity": "many"}`, `capacity: "many" is no number of sessions from 1`},
		"app, capacity, unknown":        {`{"capacity": "{env.RUDDER_SESSION_TEST_NOT_SET}"}`, `capacity: `},
		"app, retention, 0":             {`{"retention": "0s"}`, `retention: "0s" is too short`},
		"app, retention, a word":        {`{"retention": "forever"}`, `retention: "forever" is no duration`},
		"app, retention, a number":      {`{"retention": 30}`, `retention: "30" is no duration`},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, wholeConfig(handlerWith(""), c.options), c.want) })
	}
}

func wantRefused(t *testing.T, config []byte, want string) {
	t.Helper()
	err := caddyfiletest.Validate(t, config)
	if err == nil {
		t.Fatalf("accepted, want a refusal with %q", want)
	}
	if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "rudder_session") {
		t.Errorf("got %q, want %q in it", err, want)
	}
}
