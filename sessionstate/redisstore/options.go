package redisstore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Options are how to reach the servers and what to ask of them.
type Options struct {
	// URLs of the servers: redis://user:password@host:port/db, rediss:// for TLS,
	// unix:///path. Several are nodes of one Cluster or, with Sentinel, the
	// Sentinels. They differ in host and port alone.
	URLs []string
	// Sentinel is the name of the master that the Sentinels watch.
	Sentinel string
	// Username and Password are used in the place of those in the URLs, if they
	// are not empty; those for the Sentinels, if they ask for them.
	Username, Password                 string
	SentinelUsername, SentinelPassword string
	// TLS is used for rediss://. It may be nil.
	TLS *tls.Config
	// Prefix stands before each key.
	Prefix string
	// Timeout bounds how long a call waits.
	Timeout time.Duration
	// Strict has nothing kept that is read: what one process was told holds in
	// all others at once, for the price of a round trip for each message.
	Strict bool
	Log    Log
	// Now is this machine's clock; nil is time.Now.
	Now func() time.Time
}

const (
	dialTimeout = time.Second
	// A connection is asked for a sign of life each second, and is lost if none
	// came in two: so long what others change may go unnoticed.
	pingInterval, pingTimeout = time.Second, 2 * time.Second
	// sentinelRefresh is how often Sentinels are asked for the master, should
	// their message about a new one be missed.
	sentinelRefresh = 5 * time.Second
)

// client returns what connects to the servers.
func (o Options) client(invalidated func([]rueidis.RedisMessage)) (func() (rueidis.Client, error), error) {
	c, err := o.parse()
	if err != nil {
		return nil, err
	}
	c.Dialer = net.Dialer{Timeout: dialTimeout, KeepAlive: pingInterval}
	c.ConnWriteTimeout = pingTimeout
	// A retry in the library would not know of our deadlines.
	c.DisableRetry = true
	// One connection: what others change is told on each of them.
	c.PipelineMultiplex = -1
	c.ClientName = "rudder_session"
	if o.Strict {
		c.DisableCache = true
	} else {
		// Redis tells when a key that was read here is changed, by whomever, or
		// when it cannot remember any longer that it was read. With NOLOOP it would
		// leave out the latter where our own command makes it forget.
		c.ClientTrackingOptions = []string{"OPTOUT"}
		c.OnInvalidations = invalidated
	}
	return func() (rueidis.Client, error) { return rueidis.NewClient(c) }, nil
}

// Check reports what is wrong with the options.
func (o Options) Check() error {
	_, err := o.parse()
	return err
}

func (o Options) parse() (c rueidis.ClientOption, err error) {
	if len(o.URLs) == 0 {
		return c, errors.New("a URL is missing")
	}
	if o.Prefix == "" {
		return c, errors.New("the prefix is empty")
	}
	for i, text := range o.URLs {
		next, err := parseURL(text)
		if err != nil {
			return c, err
		}
		if i == 0 {
			c = next
			continue
		}
		if (next.TLSConfig == nil) != (c.TLSConfig == nil) || next.Username != c.Username ||
			next.Password != c.Password || next.SelectDB != c.SelectDB || next.DialCtxFn != nil || c.DialCtxFn != nil {
			return c, errors.New("the URLs differ in more than host and port")
		}
		if slices.Contains(c.InitAddress, next.InitAddress[0]) {
			return c, fmt.Errorf("%s stands twice", next.InitAddress[0])
		}
		c.InitAddress = append(c.InitAddress, next.InitAddress...)
	}
	if o.Username != "" {
		c.Username = o.Username
	}
	if o.Password != "" {
		c.Password = o.Password
	}
	if c.TLSConfig != nil {
		c.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if o.TLS != nil {
			c.TLSConfig = o.TLS
		}
	} else if o.TLS != nil {
		return c, errors.New("TLS options without a rediss:// URL")
	}
	if o.Sentinel != "" {
		c.Sentinel = rueidis.SentinelOption{
			MasterSet: o.Sentinel, Username: o.SentinelUsername, Password: o.SentinelPassword,
			TLSConfig: c.TLSConfig, Dialer: net.Dialer{Timeout: dialTimeout, KeepAlive: pingInterval},
			TopologyRefreshInterval: sentinelRefresh,
		}
	} else if o.SentinelUsername != "" || o.SentinelPassword != "" {
		return c, errors.New("a user or password for Sentinels, but no Sentinel")
	}
	return c, nil
}

// parseURL says nothing of a URL in errors but what it should be: it may hold a
// password, and if it is malformed, anywhere.
func parseURL(text string) (c rueidis.ClientOption, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return c, errors.New("a URL is malformed: is a character of the password not escaped?")
	}
	switch u.Scheme {
	case "redis", "rediss", "valkey", "valkeys", "unix":
	case "":
		return c, errors.New("a URL without a host; one is redis://host:port")
	default:
		return c, errors.New("a URL that begins with none of redis://, rediss://, unix://")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return c, errors.New("a URL has more than user, host, port and database number")
	}
	if u.Scheme == "unix" {
		if u.Host != "" || len(u.Path) < 2 {
			return c, errors.New("a URL without the path of a socket; one is unix:///path")
		}
		return rueidis.ParseURL(text)
	}
	if u.Hostname() == "" {
		return c, errors.New("a URL without a host; one is redis://host:port")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return c, errors.New("a URL with a port that is none")
		}
	}
	path := strings.TrimPrefix(u.Path, "/")
	if path == "" {
		u.Path = "" // redis://host:6379/ is database 0, too
		return rueidis.ParseURL(u.String())
	}
	if n, err := strconv.Atoi(path); err != nil || n < 0 {
		return c, errors.New("a URL with a path that is no database number")
	}
	return rueidis.ParseURL(text)
}
