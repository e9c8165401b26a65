package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// contestant is a proxy in front of the upstream.
type contestant struct {
	name string
	*process
	// address speaks HTTP/1.1; h2, where it is not empty, HTTP/2 without TLS.
	address, h2 string
	// admin is the address of Caddy's admin API; empty for others.
	admin string
	// sessions: it enforces sessions, and is not just a proxy.
	sessions bool
	next     int // the request of the traffic that it is sent next

	// env has the environment variables of a variant; see variant.
	env []string
}

// The names of the contestants.
const (
	plainCaddy = "Caddy, plain"
	stockCaddy = "Caddy, stock build"
	memory     = "rudder_session, memory"
	keeping    = "rudder_session, keep_encoding"
	file       = "rudder_session, file"
	redis      = "rudder_session, redis"
	example    = "Caddyfile.example"
	plainNginx = "nginx, plain"
	luaNginx   = "nginx + Lua"
)

var everyone = []string{plainCaddy, stockCaddy, memory, file, redis, example, plainNginx, luaNginx}

// handlers are the contestants that run the handler.
var handlers = []string{memory, file, redis, example}

// field is where contestants are started.
type field struct {
	parts parts
	// self is the path of this program, which is run as the upstream too.
	self     string
	dir      string
	upstream string
	redis    string // address
	// databases is how many of Redis' databases are in use.
	databases int
	all       []*process
}

func (f *field) start(name, address string, env []string, program string, args ...string) (*process, error) {
	p, err := startProcess(name, f.dir, address, env, program, args...)
	if err == nil {
		f.all = append(f.all, p)
	}
	return p, err
}

// stop stops all that was started, in reverse order.
func (f *field) stop() {
	for i := len(f.all) - 1; i >= 0; i-- {
		f.all[i].stop()
	}
}

// contestant starts the contestant with a name.
func (f *field) contestant(name string) (*contestant, error) {
	base, env := variant(name)
	c := &contestant{name: name, env: env}
	c.sessions = base != plainCaddy && base != stockCaddy && base != plainNginx && c.setting("BENCH_PLAIN", "") == ""
	store := func(store string) string { return "rudder_session {\n\t\tstore " + store + "\n\t}" }
	switch base {
	case plainCaddy:
		return c, f.caddy(c, "", "")
	case stockCaddy:
		// With GOGC set, cmd/caddy leaves the garbage collector as it is in any
		// other build of Caddy.
		c.env = append(c.env, "GOGC=100")
		return c, f.caddy(c, "", "")
	case memory:
		return c, f.caddy(c, store("memory"), "rudder_session")
	case keeping:
		return c, f.caddy(c, store("memory"), "rudder_session {\n\t\tkeep_encoding\n\t}")
	case file:
		return c, f.caddy(c, store("file"), "rudder_session")
	case redis:
		if f.redis == "" {
			if err := f.startRedis(); err != nil {
				return nil, err
			}
		}
		// Each has its own database: an earlier build may not be able to read what a
		// later one writes.
		f.databases++
		return c, f.caddy(c, store(fmt.Sprintf("redis redis://%s/%d", f.redis, f.databases-1)), "rudder_session")
	case example:
		return c, f.example(c)
	case plainNginx, luaNginx:
		return c, f.nginx(c, base == luaNginx)
	}
	return nil, fmt.Errorf("there is no contestant %q", name)
}

// variant splits the name of a contestant with other environment variables, such as
// "Caddyfile.example; GOGC=400". BENCH_CADDY names another program, BENCH_CADDYFILE
// another file for Caddyfile.example; BENCH_PLAIN says that it runs without the handler.
func variant(name string) (base string, env []string) {
	base, rest, found := strings.Cut(name, ";")
	if found {
		env = strings.Fields(rest)
	}
	return base, env
}

// setting returns the value of a variant's environment variable, or the default.
func (c *contestant) setting(name, otherwise string) string {
	for _, e := range c.env {
		if value, found := strings.CutPrefix(e, name+"="); found {
			return value
		}
	}
	return otherwise
}

// dir is the contestant's name, made valid for a directory.
func (c *contestant) dir() string {
	return strings.NewReplacer(" ", "_", ",", "", "+", "and", "/", "_").Replace(c.name)
}

// caddyfile has only default options, except for the listeners: the second one is for
// HTTP/2 without TLS.
const caddyfile = `{
	persist_config off
	servers :%[2]s {
		protocols h1 h2c
	}
	%[3]s
}

http://:%[1]s, http://:%[2]s {
	bind 127.0.0.1
	%[4]s
	reverse_proxy http://%[5]s
}
`

func (f *field) caddy(c *contestant, global, handler string) error {
	var ports [2]string
	var err error
	for i, address := range []*string{&c.address, &c.h2} {
		if *address, err = freeAddress(); err != nil {
			return err
		}
		_, ports[i], _ = net.SplitHostPort(*address)
	}
	config := filepath.Join(f.dir, c.dir()+".Caddyfile")
	text := fmt.Sprintf(caddyfile, ports[0], ports[1], global, handler, f.upstream)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	return f.run(c, config)
}

// example runs the Caddyfile.example of the repository as it is.
func (f *field) example(c *contestant) error {
	var err error
	if c.address, err = freeAddress(); err != nil {
		return err
	}
	echo, err := freeAddress()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(c.address)
	_, echoPort, _ := net.SplitHostPort(echo)
	config := c.setting("BENCH_CADDYFILE", filepath.Join(f.parts.root, "Caddyfile.example"))
	return f.run(c, config, "RUDDERSTACK_DATA_PLANE_URL=http://"+f.upstream, "RUDDER_SESSION_SITE=http://:"+port, "RUDDER_SESSION_ECHO_PORT="+echoPort)
}

func (f *field) run(c *contestant, config string, env ...string) (err error) {
	if c.admin, err = freeAddress(); err != nil {
		return err
	}
	home := filepath.Join(f.dir, c.dir())
	env = append(env, "CADDY_ADMIN="+c.admin, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	program := c.setting("BENCH_CADDY", f.parts.caddy)
	c.process, err = f.start(c.dir(), c.address, append(env, c.env...), program, "run", "--config", config, "--adapter", "caddyfile")
	return err
}

func (f *field) startRedis() error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(address)
	if _, err := f.start("redis", address, nil, f.parts.redis,
		"--port", port, "--bind", "127.0.0.1", "--dir", f.dir, "--save", "", "--daemonize", "no"); err != nil {
		return err
	}
	f.redis = address
	return nil
}

//go:embed nginx/nginx.conf
var nginxConf string

func (f *field) nginx(c *contestant, lua bool) error {
	var err error
	for _, address := range []*string{&c.address, &c.h2} {
		if *address, err = freeAddress(); err != nil {
			return err
		}
	}
	settings := map[string]any{"Address": c.address, "H2": c.h2, "Upstream": f.upstream}
	if lua {
		settings["Lua"] = filepath.Join(f.parts.root, "bench", "nginx")
		settings["LuaPath"], settings["LuaCPath"] = f.parts.luaPath(), f.parts.luaCPath()
		settings["Modules"] = f.parts.nginxModules()
	}
	var conf bytes.Buffer
	if err := template.Must(template.New("nginx.conf").Parse(nginxConf)).Execute(&conf, settings); err != nil {
		return err
	}
	prefix := filepath.Join(f.dir, c.dir())
	if err := os.MkdirAll(prefix, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(prefix, "nginx.conf"), conf.Bytes(), 0o600); err != nil {
		return err
	}
	env := append([]string{"LD_LIBRARY_PATH=" + f.parts.libraries()}, c.env...)
	c.process, err = f.start(c.dir(), c.address, env, f.parts.nginx, "-p", prefix, "-c", "nginx.conf")
	return err
}
