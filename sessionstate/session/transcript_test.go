package session_test

import (
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

var update = flag.Bool("update", false, "write what comes out into the transcripts in testdata")

// TestTranscripts plays the transcripts in testdata/*.txt, and compares the decisions.
// testdata/README.md says how to read and write them.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			played := playTranscript(t, file, strings.Split(string(text), "\n"))
			if *update {
				if err := os.WriteFile(file, []byte(strings.Join(played, "\n")), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// story is one case of a transcript while it is played.
type story struct {
	policy Policy
	s      *Session
	lags   Lags
	// received is when the last request arrived.
	received int64
	unnamed  MessageID
}

func playTranscript(t *testing.T, file string, lines []string) (played []string) {
	var st *story
	name := ""
	var body []Event // of the request that is being read
	var lefts, wants []string
	var received int64
	flush := func(number int) {
		if len(body) == 0 {
			return
		}
		for i, got := range st.send(received, body) {
			if got != wants[i] && !*update {
				t.Errorf("%s:%d: %s: %s\n got  %s\n want %s", file, number-len(body)+i+1, name, strings.TrimSpace(lefts[i]), got, wants[i])
			}
			played = append(played, fmt.Sprintf("%-48s -> %s", strings.TrimRight(lefts[i], " "), got))
		}
		body, lefts, wants = nil, nil, nil
	}
	for number, line := range lines {
		left, want, isMessage := strings.Cut(line, "->")
		if isMessage {
			if st == nil {
				t.Fatalf("%s:%d: a message before the first case", file, number+1)
			}
			if !strings.HasPrefix(line, "+") {
				flush(number)
				received = st.received
			}
			e, err := st.parse(strings.TrimPrefix(left, "+"), &received)
			if err != nil {
				t.Fatalf("%s:%d: %v", file, number+1, err)
			}
			body, lefts, wants = append(body, e), append(lefts, left), append(wants, strings.TrimSpace(want))
			continue
		}
		flush(number)
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "case "):
			name = strings.TrimPrefix(line, "case ")
			st = &story{policy: Policy{Timeout: 30 * minute}, received: t0}
		case len(words) > 1 && words[0] == "policy":
			if err := st.setPolicy(words[1:]); err != nil {
				t.Fatalf("%s:%d: %v", file, number+1, err)
			}
		case len(words) > 0 && !strings.HasPrefix(line, "#"):
			t.Fatalf("%s:%d: what is %q?", file, number+1, line)
		}
		played = append(played, line)
	}
	flush(len(lines))
	return played
}

// send delivers a request, and returns the results as the lines of a transcript.
func (st *story) send(received int64, body []Event) (came []string) {
	decisions := make([]Decision, len(body))
	known := st.lags
	st.s, _ = Transition(st.s, &Request{Received: received, Policy: &st.policy, Lags: &known, Events: body}, decisions)
	st.received = received
	for i := range body {
		st.lags.ObserveEvent(&body[i], received)
		came = append(came, outcome(&body[i], &decisions[i]))
	}
	return came
}

func outcome(e *Event, d *Decision) string {
	text := fmt.Sprintf("at %s: ", instant(d.At.Time))
	id := strconv.FormatInt(d.SessionID, 10)
	if d.SessionID >= t0-day {
		id = "@" + instant(d.SessionID)
	}
	switch {
	case d.Because.Reason == NotKept:
		text += "too late"
	case e.Kind.Control() && d.SessionID == 0:
		text += "answers null"
	case e.Kind.Control():
		text += "answers " + id
	case d.Action == Stamp:
		text += "in " + id
	case d.Action == Clear:
		text += "cleared"
	case d.Action == Unmark:
		text += "unmarked"
	default:
		text += "untouched"
	}
	if d.Start {
		text += ", first"
	}
	if d.Repeated {
		text += ", again"
	}
	return text
}

// instant formats a time as the duration since t0, such as 250ms or 1m30s, as the
// transcripts do.
func instant(at int64) string { return (time.Duration(at-t0) * time.Millisecond).String() }

var kinds = map[string]Kind{"track": Other, "identify": Identify, "startSession": Start, "endSession": End, "resetSession": Reset}

// parse reads a message: its kind, followed by attributes.
func (st *story) parse(line string, received *int64) (e Event, err error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return e, fmt.Errorf("no message")
	}
	kind, known := kinds[words[0]]
	if !known {
		return e, fmt.Errorf("kind of message %q: track, identify, startSession, endSession or resetSession", words[0])
	}
	st.unnamed++
	e.Kind, e.Message = kind, st.unnamed
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "o":
			e.Times.HasOriginal = true
			e.Times.Original, err = parseInstant(value)
		case "s":
			e.Times.HasSent = true
			e.Times.Sent, err = parseInstant(value)
		case "r":
			*received, err = parseInstant(value)
		case "message":
			e.Message = MessageID(number(value) | 1<<63)
		case "user":
			e.User = UserID(number(value))
		case "id", "own":
			if e.ID, err = strconv.ParseInt(value, 10, 64); value == "invalid" {
				e.ID, err = 0, nil
			}
			e.HasSessionID, e.HasIDKey = key == "own", key == "own"
		case "start":
			e.HasSessionStart, e.HasStartKey = true, true
		case "null":
			e.HasIDKey = true
		case "opened":
			e.Mobile, e.ColdStart = true, Opened
		case "updated":
			e.Mobile, e.ColdStart, e.HasSessionStart, e.HasStartKey = true, Updated, true, true
		case "mobile":
			e.Mobile = true
		case "server":
			e.Server = true
		case "server-of-visitor":
			e.Server, e.JoinOnly = true, true
		case "logged-out":
			e.LoggedOut = true
		default:
			err = fmt.Errorf("what is %q?", word)
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

// parseInstant reads a time after t0: a duration, or a number of milliseconds.
func parseInstant(text string) (int64, error) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return t0 + ms, nil
	}
	d, err := time.ParseDuration(text)
	return t0 + d.Milliseconds(), err
}

func number(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

func (st *story) setPolicy(words []string) error {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		var err error
		var d time.Duration
		switch key {
		case "automatic":
			modes := map[string]AutomaticPolicy{"sdk": AutomaticSDK, "adopt": AutomaticAdopt, "proxy": AutomaticProxy, "off": AutomaticOff}
			mode, known := modes[value]
			if st.policy.Automatic = mode; !known {
				err = fmt.Errorf("automatic is sdk, adopt, proxy or off, not %q", value)
			}
		case "identify_reset":
			resets := map[string]IdentifyReset{"web": IdentifyResetWeb, "always": IdentifyResetAlways, "never": IdentifyResetNever}
			reset, known := resets[value]
			if st.policy.IdentifyReset = reset; !known {
				err = fmt.Errorf("identify_reset is web, always or never, not %q", value)
			}
		case "timeout":
			d, err = time.ParseDuration(value)
			st.policy.Timeout = d.Milliseconds()
		case "cutoff":
			d, err = time.ParseDuration(value)
			st.policy.Cutoff = d.Milliseconds()
		case "manual_timeout":
			d, err = time.ParseDuration(value)
			st.policy.ManualTimeout = d.Milliseconds()
		default:
			err = fmt.Errorf("what is %q?", word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
