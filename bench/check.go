package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// check sends some requests through a contestant to an upstream that echoes them, and
// checks that the contestant does its work: events get the sessions that were started
// before, and nothing else differs between contestants.
func (c *contestant) check(t traffic) error {
	for i := range min(20, len(t.requests)) {
		if err := checkOne(c, t, &t.requests[i]); err != nil {
			return fmt.Errorf("%s: %v", t.name, err)
		}
	}
	return nil
}

type message struct {
	AnonymousID string
	Context     struct {
		SessionID    int
		SessionStart bool
	}
}

func checkOne(c *contestant, t traffic, r *request) error {
	sent, err := readMessages(r.body, r.header.Get("Content-Encoding"))
	if err != nil {
		return err
	}
	forwarded, err := echoed(c, r)
	if err != nil {
		return err
	}
	if len(sent) != t.events || len(forwarded) != t.events {
		return fmt.Errorf("%d events sent, %d forwarded", len(sent), len(forwarded))
	}
	for i, m := range forwarded {
		want := sent[i]
		var user int
		if _, err := fmt.Sscanf(want.AnonymousID[strings.LastIndexByte(want.AnonymousID, '-')+1:], "%d", &user); err != nil {
			return err
		}
		if c.sessions && known(user) {
			want.Context.SessionID = sessionID(user)
		}
		if m != want {
			return fmt.Errorf("an event was forwarded with %+v instead of %+v", m, want)
		}
	}
	return nil
}

// echoed returns the messages of a request as they reached the upstream.
func echoed(c *contestant, r *request) ([]message, error) {
	request, err := http.NewRequest(http.MethodPost, "http://"+c.address+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	request.Header = r.header.Clone()
	request.Header.Set(wantsEcho, "1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s: %.100s", response.Status, body)
	}
	return readMessages(body, response.Header.Get("Content-Encoding"))
}

func readMessages(body []byte, encoding string) ([]message, error) {
	if encoding == "gzip" {
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
	var root struct {
		message
		Batch []message
	}
	if err := json.Unmarshal(body, &root); err != nil {
		return nil, err
	}
	if root.Batch == nil {
		return []message{root.message}, nil
	}
	return root.Batch, nil
}
