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

// Options say how to reach the servers and how to use them.
type Options struct {
	// URLs of the servers: redis://user:password@host:port/db, rediss:// for TLS,
	// unix:///path. Several are nodes of one Cluster or, with Sentinel, the
	// Sentinels. They may differ only in host and port.
	URLs []string
	// Sentinel is the name of the master that the Sentinels monitor.
	Sentinel string
	// Username and Password replace those in the URLs, unless they are empty.
	// SentinelUsername and SentinelPassword are for the Sentinels.
	Username, Password                 string
	SentinelUsername, SentinelPassword string
	// TLS is used for rediss://. It may be nil.
	TLS *tls.Config
	// Prefix is the prefix of all keys.
	Prefix string
	// Timeout limits each call.
	Timeout time.Duration
	// Strict disables caching: a change by one process takes effect in all others at
	// once, at the cost of a round trip for each message.
	Strict bool
	Log    Log
	// Now is this machine's clock. Default: time.Now.
	Now func() time.Time
}

const (
	dialTimeout = time.Second
	// Each connection is pinged once a second, and counts as lost after two seconds
	// without an answer. For that long, changes by others may go unnoticed.
	pingInterval, pingTimeout = time.Second, 2 * time.Second
	// sentinelRefresh is how often Sentinels are asked for the master, in case their
	// message about a new one was missed.
	sentinelRefresh = 5 * time.Second
)

// client returns a function that connects to the servers. A connection counts as lost
// after lostAfter without an answer.
func (o Options) client(invalidated func([]rueidis.RedisMessage), lostAfter time.Duration) (func() (rueidis.Client, error), error) {
	c, err := o.parse()
	if err != nil {
		return nil, err
	}
	c.Dialer = net.Dialer{Timeout: dialTimeout, KeepAlive: pingInterval}
	c.ConnWriteTimeout = lostAfter
	// Retries by the library would ignore our deadlines.
	c.DisableRetry = true
	// One connection, because invalidations are sent on each.
	c.PipelineMultiplex = -1
	c.ClientName = "rudder_session"
	if o.Strict {
		c.DisableCache = true
	} else {
		// Redis sends an invalidation when anybody changes a key that was read here, and
		// when it evicts the key from its tracking table. With NOLOOP, it would omit the
		// latter if one of our own commands causes the eviction.
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

// parseURL returns errors that do not quote the URL: it may contain a password, in a
// malformed URL anywhere.
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
