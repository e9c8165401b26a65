package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// memory measures from outside how much of Caddy's memory sessions and requests take:
// the heap in use after a garbage collection.
func (b *bench) memory() error {
	if err := b.sessionMemory(); err != nil {
		return err
	}
	return b.requestMemory()
}

// sessionMemory uses the memory store: the other stores have the same cache in front of
// them, and writing a million sessions to a disk takes long.
func (b *bench) sessionMemory() error {
	c := &contestant{name: "sessions"}
	// Some spare capacity: the shards of the cache do not fill evenly.
	global := fmt.Sprintf("rudder_session {\n\t\tstore memory\n\t\tcapacity %d\n\t}", b.sessions*5/4)
	if err := b.caddy(c, global, "rudder_session"); err != nil {
		return err
	}
	defer c.stop()
	before, err := c.heap()
	if err != nil {
		return err
	}
	resident := c.resident()
	if err := b.openSessions(c); err != nil {
		return err
	}
	after, err := c.heap()
	if err != nil {
		return err
	}
	each := float64(after-before)/float64(b.sessions) - float64(keyLength)
	limit := bound{limit: 200, unit: " bytes"}
	b.table.add(row{
		what:    fmt.Sprintf("memory per session beyond its key (%d bytes), %d sessions", keyLength, b.sessions),
		figure:  fmt.Sprintf("%.0f bytes", each),
		against: fmt.Sprintf("heap +%.0f MB, resident %.0f MB after %.0f MB", float64(after-before)/1e6, float64(c.resident())/1e6, float64(resident)/1e6),
		goal:    limit.String(), reached: limit.reached(each),
	})
	return nil
}

// keyLength is the length of a session key: its kind, the length of the write key, the
// write key, the anonymousId.
var keyLength = 2 + len(writeKey) + len(anonymousID(0))

// openSessions starts sessions and sends the first event of each, a thousand at a time.
func (b *bench) openSessions(c *contestant) error {
	const at = 1000
	for i := 0; i < b.sessions; i += at {
		requests := []request{
			b.recorded.batch(false, at, func(j int) string {
				return fmt.Sprintf(`{"type":"startSession","anonymousId":"%s","originalTimestamp":"2026-11-23T08:58:41.871Z"}`, anonymousID(i+j))
			}),
			b.recorded.batch(false, at, func(j int) string {
				return fmt.Sprintf(`{"type":"track","event":"Opened","anonymousId":"%s","messageId":"m%d"}`, anonymousID(i+j), i+j)
			}),
		}
		if err := sendAll(c, requests, 1); err != nil {
			return err
		}
	}
	return nil
}

// requestMemory sends many large requests that the data plane does not answer yet, and
// measures how much memory Caddy keeps for them.
func (b *bench) requestMemory() error {
	contestants, err := b.contestants(plainCaddy, memory, example)
	if err != nil {
		return err
	}
	const events = 2300 // as large a body as the data plane takes
	for _, zip := range []bool{false, true} {
		t := b.recorded.batches(events, zip)
		size := len(b.recorded.batches(events, false).requests[0].body)
		for _, c := range contestants {
			if zip && !c.sessions {
				continue
			}
			kept, err := b.keptOf(c, t.requests)
			if err != nil {
				return err
			}
			ratio := float64(kept) / float64(b.held) / float64(size)
			goal := atMost(3)
			if !c.sessions {
				goal = bound{}
			}
			b.table.add(row{
				what:    fmt.Sprintf("memory of a request, %s: %s", t.name, c.name),
				figure:  fmt.Sprintf("%.1f MB", float64(kept)/float64(b.held)/1e6),
				against: fmt.Sprintf("its body, unzipped: %.1f MB", float64(size)/1e6),
				ratio:   fmt.Sprintf("%.2f", ratio), goal: goal.String(), reached: goal.reached(ratio),
			})
		}
	}
	return nil
}

// keptOf returns how much more memory is in use while the upstream holds requests than
// before.
func (b *bench) keptOf(c *contestant, requests []request) (int, error) {
	before, err := c.heap()
	if err != nil {
		return 0, err
	}
	var waiting sync.WaitGroup
	errs := make(chan error, b.held)
	for i := range b.held {
		waiting.Go(func() { errs <- hold(c, &requests[i%len(requests)]) })
	}
	during, err := b.whenHeld(c)
	if _, failed := b.ask("/release"); failed != nil {
		return 0, failed
	}
	waiting.Wait()
	close(errs)
	for failed := range errs {
		if failed != nil {
			return 0, failed
		}
	}
	return during - before, err
}

// whenHeld waits until the upstream has all requests, and returns the heap in use.
func (b *bench) whenHeld(c *contestant) (int, error) {
	deadline := time.Now().Add(time.Minute)
	for {
		held, err := b.ask("/held")
		if err != nil {
			return 0, err
		}
		if held == strconv.Itoa(b.held) {
			return c.heap()
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("%s: %s of %d requests reach the upstream", c.name, held, b.held)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func hold(c *contestant, r *request) error {
	request, err := http.NewRequest(http.MethodPost, "http://"+c.address+r.path, bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	request.Header = r.header.Clone()
	request.Header.Set(wantsHold, "1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: answered %s", c.name, response.Status)
	}
	return nil
}

// ask sends a request directly to the upstream.
func (b *bench) ask(path string) (string, error) { return get("http://" + b.upstream + path) }

func get(url string) (string, error) {
	response, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(body), err
}

var heapAlloc = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)

// heap returns how much memory a Caddy has in use after two collections: what is in a
// sync.Pool survives one.
func (c *contestant) heap() (int, error) {
	var text string
	for range 3 {
		var err error
		if text, err = get("http://" + c.admin + "/debug/pprof/heap?gc=1&debug=1"); err != nil {
			return 0, err
		}
	}
	found := heapAlloc.FindStringSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("%s: no HeapAlloc in its heap profile", c.name)
	}
	return strconv.Atoi(found[1])
}

// resident returns how much memory a process has, in bytes.
func (c *contestant) resident() int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb << 10
		}
	}
	return 0
}
