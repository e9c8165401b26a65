package redisstore_test

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func TestOptions(t *testing.T) {
	one := []string{"redis://localhost"}
	for name, c := range map[string]struct {
		o redisstore.Options
		// want is a part of the error; "" is none.
		want string
	}{
		"host":                  {redisstore.Options{URLs: one}, ""},
		"all of a URL":          {redisstore.Options{URLs: []string{"redis://user:s3cret@localhost:6380/2"}}, ""},
		"no user":               {redisstore.Options{URLs: []string{"redis://:s3cret@localhost"}}, ""},
		"a slash":               {redisstore.Options{URLs: []string{"redis://user:s3%2Fcret@localhost:6379/"}}, ""},
		"a slash and no more":   {redisstore.Options{URLs: []string{"redis://localhost//"}}, "database"},
		"the same with a slash": {redisstore.Options{URLs: []string{"redis://a:1", "redis://a:1/"}}, "a:1 stands twice"},
		"IPv6":                  {redisstore.Options{URLs: []string{"redis://[::1]:6380"}}, ""},
		"TLS":                   {redisstore.Options{URLs: []string{"rediss://localhost"}}, ""},
		"TLS with options":      {redisstore.Options{URLs: []string{"rediss://localhost"}, TLS: &tls.Config{}}, ""},
		"Valkey":                {redisstore.Options{URLs: []string{"valkey://localhost"}}, ""},
		"Valkey, TLS":           {redisstore.Options{URLs: []string{"valkeys://localhost"}}, ""},
		"a socket":              {redisstore.Options{URLs: []string{"unix:///run/redis.sock"}}, ""},
		"several":               {redisstore.Options{URLs: []string{"redis://a", "redis://b", "redis://a:1"}}, ""},
		"Sentinel":              {redisstore.Options{URLs: one, Sentinel: "m", SentinelUsername: "u", SentinelPassword: "s3cret"}, ""},
		"no URL":                {redisstore.Options{}, "a URL is missing"},
		"an empty URL":          {redisstore.Options{URLs: []string{""}}, "URL without a host"},
		"host and port alone":   {redisstore.Options{URLs: []string{"localhost:6379"}}, "URL"},
		"an address":            {redisstore.Options{URLs: []string{"127.0.0.1:6379"}}, "malformed"},
		"no host":               {redisstore.Options{URLs: []string{"redis://"}}, "URL without a host"},
		"no host, secret":       {redisstore.Options{URLs: []string{"redis://user:s3cret@"}}, "URL without a host"},
		"another scheme":        {redisstore.Options{URLs: []string{"http://user:s3cret@localhost"}}, "begins with none"},
		"no number":             {redisstore.Options{URLs: []string{"redis://user:s3cret@localhost/x"}}, "database"},
		"a path":                {redisstore.Options{URLs: []string{"redis://user:s3cret@localhost/1/2"}}, "path"},
		"a query":               {redisstore.Options{URLs: []string{"redis://user:s3cret@localhost?db=1"}}, "has more than"},
		"a fragment":            {redisstore.Options{URLs: []string{"redis://user:s3cret@localhost#1"}}, "has more than"},
		"a socket with a query": {redisstore.Options{URLs: []string{"unix:///run/redis.sock?db=1"}}, "more than"},
		"no socket":             {redisstore.Options{URLs: []string{"unix://"}}, "socket"},
		"a port that is none":   {redisstore.Options{URLs: []string{"redis://localhost:x"}}, "malformed"},
		"a port too large":      {redisstore.Options{URLs: []string{"redis://localhost:65536"}}, "port"},
		"a negative database":   {redisstore.Options{URLs: []string{"redis://localhost/-1"}}, "database"},
		"a control character":   {redisstore.Options{URLs: []string{"redis://user:s3cret@local\x00host"}}, "malformed"},
		"a bad escape":          {redisstore.Options{URLs: []string{"redis://user:s3cret%zz@localhost"}}, "malformed"},
		// Passwords that were not escaped.
		"a slash in the password":            {redisstore.Options{URLs: []string{"redis://user:1/s3cret@localhost"}}, "URL"},
		"a slash behind a number":            {redisstore.Options{URLs: []string{"redis://u:31337/4@localhost"}}, "URL"},
		"a question mark in the password":    {redisstore.Options{URLs: []string{"redis://user:s3cret?x@localhost"}}, "malformed"},
		"a question mark behind a number":    {redisstore.Options{URLs: []string{"redis://user:31337?x@localhost"}}, "more than"},
		"a number sign behind a number":      {redisstore.Options{URLs: []string{"redis://user:31337#x@localhost"}}, "more than"},
		"twice":                              {redisstore.Options{URLs: []string{"redis://u:s3cret@a", "redis://u:s3cret@a:6379"}}, "a:6379 stands twice"},
		"another password":                   {redisstore.Options{URLs: []string{"redis://u:s3cret@a", "redis://u:s3cret2@b"}}, "differ"},
		"another user":                       {redisstore.Options{URLs: []string{"redis://u:s3cret@a", "redis://v:s3cret@b"}}, "differ"},
		"another database":                   {redisstore.Options{URLs: []string{"redis://a/1", "redis://b/2"}}, "differ"},
		"TLS for one":                        {redisstore.Options{URLs: []string{"redis://a", "rediss://b"}}, "differ"},
		"a socket and a host":                {redisstore.Options{URLs: []string{"unix:///a", "redis://b"}}, "differ"},
		"a host and a socket":                {redisstore.Options{URLs: []string{"redis://b", "unix:///a"}}, "differ"},
		"the second is wrong":                {redisstore.Options{URLs: []string{"redis://b", "redis://"}}, "URL without a host"},
		"TLS options without TLS":            {redisstore.Options{URLs: one, TLS: &tls.Config{}}, "TLS options without a rediss:// URL"},
		"a Sentinel's user, no Sentinel":     {redisstore.Options{URLs: one, SentinelUsername: "u"}, "no Sentinel"},
		"a Sentinel's password, no Sentinel": {redisstore.Options{URLs: one, SentinelPassword: "s3cret"}, "no Sentinel"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.o.Prefix == "" {
				c.o.Prefix = "p:"
			}
			err := c.o.Check()
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			for _, part := range []string{"s3cret", "31337"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("the error holds a part of the password: %v", err)
				}
			}
		})
	}
	if err := (redisstore.Options{URLs: one}).Check(); err == nil || !strings.Contains(err.Error(), "prefix") {
		t.Errorf("without a prefix: %v", err)
	}
	if _, err := redisstore.Open(redisstore.Options{URLs: one}); err == nil {
		t.Error("a store without a prefix is opened")
	}
}

// A database number is used on each connection, and prefixes with special characters of
// patterns do not match each other.
func TestApart(t *testing.T) {
	server := redistest.Start(t)
	var stores []*redisstore.Store
	for _, o := range []redisstore.Options{
		{URLs: []string{server.URL()}, Prefix: "a"},
		{URLs: []string{server.URL() + "/0"}, Prefix: "[a]"},
		{URLs: []string{server.URL()}, Prefix: "?"},
		{URLs: []string{server.URL()}, Prefix: "*"},
		{URLs: []string{server.URL()}, Prefix: `\a`},
		{URLs: []string{server.URL()}, Prefix: "[^"},
		{URLs: []string{server.URL()}, Prefix: "\xff\x00 "},
		{URLs: []string{server.URL() + "/7"}, Prefix: "a"},
	} {
		s := open(t, o)
		defer s.Close()
		stores = append(stores, s)
	}
	for i, s := range stores {
		if ok, err := swapOne(s, "key", 0, sessionOf(session.Version(i+1), 1_000_000_000)); !ok || err != nil {
			t.Fatal(i, ok, err)
		}
	}
	for i, s := range stores {
		var keys []string
		err := s.Scan(t.Context(), func(key string, v *session.Session) error {
			if keys = append(keys, key); v.Version != session.Version(i+1) {
				t.Errorf("store %d has the session of store %d", i, v.Version-1)
			}
			return nil
		})
		if err != nil || len(keys) != 1 || keys[0] != "key" {
			t.Errorf("store %d has %q, %v", i, keys, err)
		}
	}
	// Calls at one do not affect another.
	a := tableOver(t, open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: "a:"}))
	b := tableOver(t, open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: "b:"}))
	id := send(t, a, "key", session.Start).SessionID
	awaitID(t, b, "key", 0)
	send(t, b, "key", session.End)
	awaitID(t, a, "key", id)
}

// A server may be reached through a Unix socket.
func TestUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "redis.sock")
	server := redistest.Start(t, "--unixsocket", socket)
	tables := openTables(t, 2, redisstore.Options{URLs: []string{"unix://" + socket}})
	for range 10 {
		id := send(t, tables[0], "key", session.Start).SessionID
		awaitID(t, tables[1], "key", id)
	}
	server.Kill()
	server.Restart()
	awaitWell(t, tables...)
	awaitID(t, tables[1], "other", send(t, tables[0], "other", session.Start).SessionID)
}
