package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// parts are the paths of the programs that the benchmark runs.
type parts struct {
	root  string // of the repository
	caddy string
	redis string
	// nginx, and the directory in which Debian's packages were unpacked, or "/".
	nginx, nginxRoot string
}

// findParts finds the programs that run.sh has built and unpacked.
func findParts(root string) (p parts, err error) {
	if p.root, err = filepath.Abs(root); err != nil {
		return p, err
	}
	made := filepath.Join(p.root, "bench", ".parts")
	p.caddy = filepath.Join(made, "caddy")
	if _, err := os.Stat(p.caddy); err != nil {
		return p, errors.New("no Caddy is built: run bench/run.sh")
	}
	if p.redis, err = findRedis(made); err != nil {
		return p, err
	}
	for _, p.nginxRoot = range []string{filepath.Join(made, "debian"), "/"} {
		p.nginx = filepath.Join(p.nginxRoot, "usr/sbin/nginx")
		if _, err := os.Stat(p.nginx); err == nil && len(p.nginxModules()) > 0 {
			return p, nil
		}
	}
	p.nginx = ""
	return p, nil
}

// findRedis finds redis-server. Debian's redis-tools has it as redis-check-rdb, and the
// program behaves according to its name: findRedis makes a link with the right one.
func findRedis(made string) (string, error) {
	if path, err := exec.LookPath("redis-server"); err == nil {
		return path, nil
	}
	hidden, err := exec.LookPath("redis-check-rdb")
	if err != nil {
		return "", err
	}
	link := filepath.Join(made, "redis-server")
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return link, os.Symlink(hidden, link)
}

// nginxModules are the modules that Lua needs, in the order in which they are loaded.
func (p *parts) nginxModules() []string {
	var found []string
	for _, name := range []string{"ndk_http_module.so", "ngx_http_lua_module.so"} {
		module := filepath.Join(p.nginxRoot, "usr/lib/nginx/modules", name)
		if _, err := os.Stat(module); err == nil {
			found = append(found, module)
		}
	}
	return found
}

func (p *parts) luaPath() string {
	return filepath.Join(p.nginxRoot, "usr/share/lua/5.1/?.lua")
}

// archDirs are Debian's directories of libraries for any architecture.
func (p *parts) archDirs() []string {
	var found []string
	for _, lib := range []string{"lib", "usr/lib"} {
		dirs, _ := filepath.Glob(filepath.Join(p.nginxRoot, lib, "*-linux-gnu*"))
		found = append(found, dirs...)
	}
	return found
}

func (p *parts) luaCPath() string {
	var patterns []string
	for _, dir := range p.archDirs() {
		patterns = append(patterns, filepath.Join(dir, "lua/5.1/?.so"))
	}
	return strings.Join(patterns, ";")
}

func (p *parts) libraries() string { return strings.Join(p.archDirs(), ":") }
