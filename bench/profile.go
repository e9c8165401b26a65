package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// profileSeconds is the length of each profile.
const profileSeconds = 10

// profile writes a CPU profile of each Caddy under a scenario's load, for
// go tool pprof.
func (b *bench) profile(s *scenario, contestants []*contestant) error {
	if err := os.MkdirAll(b.profiles, 0o755); err != nil {
		return err
	}
	for _, c := range contestants {
		if c.admin == "" || !s.takes(c) {
			continue
		}
		name := strings.NewReplacer(" ", "-", ",", "", "/", "").Replace(c.name + " " + s.title() + ".pprof")
		written := make(chan error, 1)
		go func() {
			written <- download(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", c.admin, profileSeconds), filepath.Join(b.profiles, name))
		}()
		if _, err := burst(c, s.requests, s.h2, profileSeconds*time.Second); err != nil {
			return err
		}
		if err := <-written; err != nil {
			return err
		}
	}
	return nil
}

func download(url, file string) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, response.Body); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
