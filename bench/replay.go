package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/tidwall/gjson"
)

// replayed is the number of events in the replayed file.
const replayed = 200_000

// replay compares how fast recorded events are replayed with how fast this machine
// decompresses and validates the same lines: gzip in its own process, piped into gjson.
func (b *bench) replay() error {
	n := replayed
	if b.sessions < 1_000_000 { // a quick run
		n = 2000
	}
	file := filepath.Join(b.dir, "events.jsonl.gz")
	size, err := b.recorded.store(file, n)
	if err != nil {
		return err
	}
	rates := map[string][]float64{}
	for round := range b.rounds {
		b.table.print(fmt.Sprintf("replay: round %d of %d", round+1, b.rounds))
		for _, c := range []struct {
			name string
			run  func() error
		}{
			{"gjson", func() error { return validate(file, n) }},
			{"adopt", func() error { return b.replayFile(file, n, "adopt") }},
			{"proxy", func() error { return b.replayFile(file, n, "proxy") }},
		} {
			began := time.Now()
			if err := c.run(); err != nil {
				return fmt.Errorf("%s: %v", c.name, err)
			}
			rates[c.name] = append(rates[c.name], float64(size)/1e6/time.Since(began).Seconds())
		}
	}
	for _, automatic := range []string{"adopt", "proxy"} {
		b.table.compare("replay, automatic "+automatic+", bytes of events", " MB/s", rates[automatic],
			"gzip -dc, and gjson.ValidBytes", rates["gjson"], atLeast(0.7))
	}
	return nil
}

// store writes events as an object-storage destination does, half a second apart, and
// returns their size in bytes before compression.
func (r *recorded) store(path string, n int) (size int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	zip := gzip.NewWriter(f)
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for i := range n {
		at = at.Add(500 * time.Millisecond)
		name, template := r.template(i)
		stamp := func(before time.Duration) string {
			return at.Add(-before).Format("2006-01-02T15:04:05.000Z")
		}
		line, err := storedEvent(event(template, i*7919%users, i), map[string]string{
			"type": strings.TrimPrefix(name, "/v1/"), "originalTimestamp": stamp(60 * time.Millisecond),
			"sentAt": stamp(40 * time.Millisecond), "timestamp": stamp(20 * time.Millisecond), "receivedAt": stamp(0),
		})
		if err != nil {
			return 0, err
		}
		written, err := zip.Write(line)
		if size += int64(written); err != nil {
			return 0, err
		}
	}
	if err := zip.Close(); err != nil {
		return 0, err
	}
	return size, f.Close()
}

// storedEvent returns an event as a line, with some members replaced.
func storedEvent(text string, members map[string]string) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, err
	}
	for name, value := range members {
		quoted, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		all[name] = quoted
	}
	line, err := json.Marshal(all)
	return append(line, '\n'), err
}

// validate decompresses a file with gzip and validates its lines with gjson.
func validate(file string, lines int) error {
	cmd := exec.Command("gzip", "-dc", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	read := bufio.NewScanner(bufio.NewReaderSize(out, 1<<20))
	read.Buffer(make([]byte, 1<<20), 1<<20)
	n := 0
	for read.Scan() {
		if !gjson.ValidBytes(read.Bytes()) {
			return fmt.Errorf("line %d is not valid", n+1)
		}
		n++
	}
	if err := cmd.Wait(); err != nil || n != lines {
		return fmt.Errorf("%d lines of %d, %v, %v", n, lines, read.Err(), err)
	}
	return nil
}

// replayFile replays a file, and checks that all lines were read.
func (b *bench) replayFile(file string, lines int, automatic string) error {
	var stderr bytes.Buffer
	cmd := exec.Command(b.parts.caddy, "rudder-session", "replay", file, "--automatic", automatic, "--write-key", writeKey, "--json")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%v: %s", err, stderr.Bytes())
	}
	if stamped := gjson.GetBytes(out, "policies.0.stamped").Int(); stamped != int64(lines) {
		return fmt.Errorf("%d events of %d have a session", stamped, lines)
	}
	return nil
}
