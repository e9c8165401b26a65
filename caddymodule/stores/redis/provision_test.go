package redis_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rudder-session/rudder-session/caddymodule/stores/redis"
	"github.com/rudder-session/rudder-session/internal/caddyfiletest"
	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// wholeConfig is a configuration with options of the store.
func wholeConfig(options string) []byte {
	if options != "" {
		options = ", " + options
	}
	return fmt.Appendf(nil, `{"apps": {"rudder_session": {"store": {"module": "redis"%s}}}}`, options)
}

// provisioned returns a store with options.
func provisioned(t *testing.T, options string) *redis.Store {
	t.Helper()
	s := new(redis.Store)
	if err := json.Unmarshal([]byte("{"+options+"}"), s); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	if err := s.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

const url = `"urls": ["redis://localhost"]`

// TestProvision: valid options are accepted.
func TestProvision(t *testing.T) {
	setEnv(t)
	for name, options := range map[string]string{
		"a URL":                url,
		"null":                 url + `, "sentinel": null, "prefix": null, "timeout": null, "consistency": null, "tls": null`,
		"empty":                url + `, "sentinel": "", "username": "", "password": "", "prefix": "", "timeout": "", "consistency": ""`,
		"several URLs":         `"urls": ["redis://a", "redis://b:1"]`,
		"URL {env}":            `"urls": ["{env.RUDDER_SESSION_TEST_URL}"]`,
		"URL with {env} in it": `"urls": ["redis://{env.RUDDER_SESSION_TEST_USER}:{env.RUDDER_SESSION_TEST_SECRET}@localhost"]`,
		"sentinel":             url + `, "sentinel": "sessions", "sentinel_username": "u", "sentinel_password": "p"`,
		"sentinel {env}":       url + `, "sentinel": "{env.RUDDER_SESSION_TEST_NAME}", "sentinel_password": "{env.RUDDER_SESSION_TEST_SECRET}"`,
		"user":                 url + `, "username": "u", "password": "p"`,
		"user {env}":           url + `, "username": "{env.RUDDER_SESSION_TEST_USER}", "password": "{env.RUDDER_SESSION_TEST_SECRET}"`,
		"password alone":       url + `, "password": "p"`,
		"password, a number":   url + `, "password": 12345`,
		"prefix":               url + `, "prefix": "a*:"`,
		"prefix {env}":         url + `, "prefix": "{env.RUDDER_SESSION_TEST_PREFIX}"`,
		"timeout":              url + `, "timeout": "1ms"`,
		"timeout {env}":        url + `, "timeout": "{env.RUDDER_SESSION_TEST_TIMEOUT}"`,
		"eventual":             url + `, "consistency": "eventual"`,
		"strict":               url + `, "consistency": "strict"`,
		"consistency {env}":    url + `, "consistency": "{env.RUDDER_SESSION_TEST_CONSISTENCY}"`,
		"tls, empty":           `"urls": ["rediss://localhost"], "tls": {}`,
		"tls, insecure":        `"urls": ["rediss://localhost"], "tls": {"insecure_skip_verify": true}`,
		"tls, all": `"urls": ["rediss://localhost"], "tls": {"ca": "{env.RUDDER_SESSION_TEST_DIR}/ca.crt", "server_name": "redis.test",
			"certificate": "{env.RUDDER_SESSION_TEST_DIR}/client.crt", "key": "{env.RUDDER_SESSION_TEST_DIR}/client.key"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := caddyfiletest.Validate(t, wholeConfig(options)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestProvisionRefuses: each invalid option is refused with an error that names it and
// contains no password.
func TestProvisionRefuses(t *testing.T) {
	dir := setEnv(t)
	withTLS := func(options string) string { return `"urls": ["rediss://localhost"], "tls": {` + options + `}` }
	file := func(name string) string { return fmt.Sprintf("%q", dir+"/"+name) }
	for name, c := range map[string]struct{ options, want string }{
		"nothing":                  {``, `urls: a URL is missing`},
		"no URL":                   {`"urls": []`, `urls: a URL is missing`},
		"null":                     {`"urls": null`, `urls: a URL is missing`},
		"an empty URL":             {`"urls": [""]`, `urls: a URL without a host`},
		"a string":                 {`"urls": "redis://localhost"`, `urls`},
		"an unknown option":        {url + `, "url": "redis://localhost"`, `unknown field "url"`},
		"URL, unknown placeholder": {`"urls": ["{env.RUDDER_SESSION_TEST_NOT_SET}"]`, `urls: `},
		"URL, empty placeholder":   {`"urls": ["redis://{env.RUDDER_SESSION_TEST_EMPTY}"]`, `urls: `},
		"URL, unknown kind":        {`"urls": ["redis://{http.request.host}"]`, `urls: `},
		"URL once replaced":        {`"urls": ["{env.RUDDER_SESSION_TEST_SECRET}"]`, `urls: `},
		"URL, scheme":              {`"urls": ["http://u:s3cret@localhost"]`, `urls: `},
		"URL, malformed":           {`"urls": ["redis://u:s3cret@local host"]`, `urls: a URL is malformed`},
		"URL, database":            {`"urls": ["redis://u:s3cret@localhost/x"]`, `urls: `},
		"URL, password with a /":   {`"urls": ["redis://u:1/s3cret@localhost"]`, `urls: `},
		"URLs, same":               {`"urls": ["redis://u:s3cret@a", "redis://u:s3cret@a"]`, `stands twice`},
		"URLs, same server":        {`"urls": ["redis://u:s3cret@a", "redis://u:s3cret@a:6379"]`, `urls: a:6379 stands twice`},
		"URLs, same once replaced": {`"urls": ["redis://localhost:6379/1", "{env.RUDDER_SESSION_TEST_URL}"]`, `stands twice`},
		"URLs, differ":             {`"urls": ["redis://u:s3cret@a", "redis://u:s3cret2@b"]`, `urls: the URLs differ`},

		"sentinel, a list":           {url + `, "sentinel": ["s"]`, `sentinel`},
		"sentinel, unknown":          {url + `, "sentinel": "{env.RUDDER_SESSION_TEST_NOT_SET}"`, `sentinel: `},
		"sentinel_username, unknown": {url + `, "sentinel": "s", "sentinel_username": "{env.RUDDER_SESSION_TEST_NOT_SET}"`, `sentinel_username: `},
		"sentinel_password, unknown": {url + `, "sentinel": "s", "sentinel_password": "{env.RUDDER_SESSION_TEST_NOT_SET}"`, `sentinel_password: `},
		"sentinel_password alone":    {url + `, "sentinel_password": "s3cret"`, `no Sentinel`},
		"username, unknown":          {url + `, "username": "{env.RUDDER_SESSION_TEST_NOT_SET}"`, `username: `},
		"password, unknown":          {url + `, "password": "{env.RUDDER_SESSION_TEST_NOT_SET}"`, `password: `},
		"password, empty":            {url + `, "password": "{env.RUDDER_SESSION_TEST_EMPTY}"`, `password: `},
		"password, true":             {url + `, "password": true`, `password`},
		"prefix, empty":              {url + `, "prefix": "{env.RUDDER_SESSION_TEST_EMPTY}"`, `prefix: `},
		"timeout, a word":            {url + `, "timeout": "soon"`, `timeout: "soon" is no duration`},
		"timeout, no unit":           {url + `, "timeout": 500`, `timeout: "500" is no duration`},
		"timeout, 0":                 {url + `, "timeout": "0s"`, `timeout: "0s" is too short`},
		"timeout, once replaced":     {url + `, "timeout": "{env.RUDDER_SESSION_TEST_WORD}"`, `timeout: "linear" is no duration`},
		"consistency, a word":        {url + `, "consistency": "linear"`, `consistency: "linear" is none of eventual, strict`},
		"consistency, once replaced": {url + `, "consistency": "{env.RUDDER_SESSION_TEST_WORD}"`, `consistency: "linear" is none of`},
		"consistency, true":          {url + `, "consistency": true`, `consistency`},

		"tls, true":             {`"urls": ["rediss://localhost"], "tls": true`, `tls`},
		"tls without rediss":    {url + `, "tls": {}`, `rediss://`},
		"tls, unknown option":   {withTLS(`"ciphers": "all"`), `unknown field "ciphers"`},
		"tls, insecure, string": {withTLS(`"insecure_skip_verify": "yes"`), `insecure_skip_verify`},
		"ca, no file":           {withTLS(`"ca": ` + file("nothing")), `tls: ca: open ` + dir},
		"ca, text":              {withTLS(`"ca": ` + file("text")), `tls: ca: the file has no certificate`},
		"ca, a key":             {withTLS(`"ca": ` + file("ca.key")), `tls: ca: `},
		"ca, unknown":           {withTLS(`"ca": "{env.RUDDER_SESSION_TEST_NOT_SET}"`), `tls: ca: `},
		"certificate alone":     {withTLS(`"certificate": ` + file("client.crt")), `tls: certificate and key belong together`},
		"key alone":             {withTLS(`"key": ` + file("client.key")), `tls: certificate and key belong together`},
		"certificate, no file":  {withTLS(`"certificate": ` + file("nothing") + `, "key": ` + file("client.key")), `tls: certificate: `},
		"key, no file":          {withTLS(`"certificate": ` + file("client.crt") + `, "key": ` + file("nothing")), `tls: key: `},
		"another's key":         {withTLS(`"certificate": ` + file("client.crt") + `, "key": ` + file("other.key")), `tls: certificate: `},
		"server_name, unknown":  {withTLS(`"server_name": "{env.RUDDER_SESSION_TEST_NOT_SET}"`), `tls: server_name: `},
	} {
		t.Run(name, func(t *testing.T) {
			err := caddyfiletest.Validate(t, wholeConfig(c.options))
			if err == nil {
				t.Fatalf("accepted, want a refusal with %q", c.want)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "rudder_session") {
				t.Errorf("got %q, want %q in it", err, c.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds a password: %v", err)
			}
		})
	}
}

// TestIdentity: a store's identity is everything that makes a difference for the
// connection, and nothing else.
func TestIdentity(t *testing.T) {
	dir := setEnv(t)
	seen := map[string]string{}
	for _, options := range []string{
		url,
		`"urls": ["redis://localhost:6380"]`, `"urls": ["redis://localhost/1"]`, `"urls": ["redis://a", "redis://b"]`,
		`"urls": ["redis://b", "redis://c"]`, `"urls": ["redis://u:p@localhost"]`, `"urls": ["redis://u:q@localhost"]`,
		`"urls": ["rediss://localhost"]`, `"urls": ["unix:///localhost"]`,
		url + `, "sentinel": "a"`, url + `, "sentinel": "b"`,
		url + `, "sentinel": "a", "sentinel_username": "a"`, url + `, "sentinel": "a", "sentinel_password": "a"`,
		url + `, "username": "a"`, url + `, "username": "b"`, url + `, "password": "a"`, url + `, "password": "b"`,
		url + `, "username": "a", "password": "a"`, url + `, "username": "a b"`, url + `, "username": "a", "password": "b"`,
		url + `, "prefix": "a"`, url + `, "prefix": "b"`, url + `, "timeout": "1s"`, url + `, "timeout": "2s"`, url + `, "consistency": "strict"`,
		`"urls": ["rediss://localhost"], "tls": {"insecure_skip_verify": true}`,
		`"urls": ["rediss://localhost"], "tls": {"server_name": "a"}`, `"urls": ["rediss://localhost"], "tls": {"server_name": "b"}`,
		fmt.Sprintf(`"urls": ["rediss://localhost"], "tls": {"ca": "%s/ca.crt"}`, dir),
		fmt.Sprintf(`"urls": ["rediss://localhost"], "tls": {"ca": "%s/other.crt"}`, dir),
		fmt.Sprintf(`"urls": ["rediss://localhost"], "tls": {"certificate": "%[1]s/client.crt", "key": "%[1]s/client.key"}`, dir),
		fmt.Sprintf(`"urls": ["rediss://localhost"], "tls": {"certificate": "%[1]s/other.crt", "key": "%[1]s/other.key"}`, dir),
	} {
		identity := provisioned(t, options).Identity()
		if other, ok := seen[identity]; ok {
			t.Errorf("one identity of\n%s\n%s", options, other)
		}
		if seen[identity] = options; strings.Contains(identity, "localhost") || !strings.HasPrefix(identity, "redis ") {
			t.Errorf("identity %q", identity)
		}
	}
	for _, same := range [][]string{
		{url, url + `, "prefix": "rudder_session:"`, url + `, "timeout": "500ms"`, url + `, "timeout": "0.5s"`, url + `, "consistency": "eventual", "tls": null`},
		{url + `, "password": "s3cret"`, url + `, "password": "{env.RUDDER_SESSION_TEST_SECRET}"`},
		{`"urls": ["redis://localhost:6379/1"]`, `"urls": ["{env.RUDDER_SESSION_TEST_URL}"]`},
		{
			fmt.Sprintf(`"urls": ["rediss://localhost"], "tls": {"ca": "%s/ca.crt"}`, dir),
			`"urls": ["rediss://localhost"], "tls": {"ca": "{env.RUDDER_SESSION_TEST_DIR}/ca.crt"}`,
		},
	} {
		for _, options := range same[1:] {
			if provisioned(t, options).Identity() != provisioned(t, same[0]).Identity() {
				t.Errorf("two identities of\n%s\n%s", options, same[0])
			}
		}
	}
}

// TestValidateDoesNotConnect: no connection is made before the store is opened.
func TestValidateDoesNotConnect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		if conn, err := l.Accept(); err == nil {
			conn.Close()
			t.Error("somebody has connected")
		}
	}()
	if err := caddyfiletest.Validate(t, wholeConfig(fmt.Sprintf(`"urls": ["redis://%s"]`, l.Addr()))); err != nil {
		t.Error(err)
	}
	l.Close()
	<-accepted
}

// TestOpen: Caddy starts while the server is away, which is logged, and so is its return.
func TestOpen(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	core, logs := observer.New(zapcore.DebugLevel)
	options := fmt.Sprintf(`"urls": ["redis://u:%s@%s"], "timeout": "10s"`, secret, server.Addr)
	store, err := provisioned(t, options).Open(zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	entries := logs.TakeAll()
	if len(entries) != 1 || entries[0].Level != zapcore.ErrorLevel || entries[0].ContextMap()["error"] == nil {
		t.Errorf("logged: %v", entries)
	}
	server.Restart()
	server.Do("ACL", "SETUSER", "u", "on", ">"+secret, "~rudder_session:*", "+@all")
	redistest.Await(t, "the server is found", func() bool { return logs.Len() > 0 })
	all := append(entries, logs.All()...)
	for _, e := range all {
		if text := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(text, secret) {
			t.Errorf("the log holds a password: %s", text)
		}
	}
	if last := all[len(all)-1]; last.Level != zapcore.InfoLevel {
		t.Errorf("logged: %v", last)
	}
	change := []sessionstate.Swap{{Key: "key", Next: &session.Session{Version: 1}}}
	store.CompareAndSwap(t.Context(), change)
	if !change[0].Done || change[0].Err != nil {
		t.Error(change[0].Done, change[0].Err)
	}
	if got := server.Do("EXISTS", "rudder_session:key"); got != "1" {
		t.Error("the key is not under the default prefix")
	}
}
