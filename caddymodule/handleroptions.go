package caddymodule

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

const (
	defaultTimeout = 30 * 60 * 1000 // milliseconds
	defaultMaxBody = 4000 * 1024    // bytes
	// defaultMaxStarts is ten a second: more than any user starts, fewer than a loop.
	defaultMaxStarts = 600
)

// options returns the handler's. "source" comes after the options that sources inherit.
func (h *Handler) options() []Option {
	policy := &h.others.policy
	return slices.Concat(
		[]Option{
			ValueOption("identify_reset", &h.IdentifyReset, parseIdentifyReset, session.IdentifyResetWeb, &policy.IdentifyReset),
			ValueOption("manual_timeout", &h.ManualTimeout, parseMillisecondsOrOff, 0, &policy.ManualTimeout),
		},
		policyOptions(&h.Automatic, &h.Timeout, &h.Cutoff, policy),
		[]Option{
			{"source", h.unmarshalSource, h.readSources},
			{"control_events", h.unmarshalControlEvents, func() (err error) {
				h.names, err = parseNames(h.ControlEvents)
				return err
			}},
			{"write_keys", func(d *caddyfile.Dispenser) error { return List(d, "write_keys", &h.WriteKeys) }, h.readWriteKeys},
			ValueOption("max_body", &h.MaxBody, ParseBodySize("4000KiB"), defaultMaxBody, &h.maxBody),
			ValueOption("on_store_error", &h.OnStoreError, parseOnStoreError, false, &h.reject),
			ValueOption("max_session_starts", &h.MaxSessionStarts, parseMaxStarts, defaultMaxStarts, &h.maxStarts),
			ValueOption("finish_timeout", &h.FinishTimeout, ParseDuration, defaultFinishTimeout, &h.finish),
			ValueOption("prefix", &h.Prefix, parsePrefix, "", &h.prefix),
			FlagOption("share_sessions", &h.ShareSessions),
			FlagOption("follow_user", &h.FollowUser),
			FlagOption("keep_encoding", &h.KeepEncoding),
			FlagOption("shadow", &h.Shadow),
		})
}

// options returns a source's. They are read into a policy that has the handler's values.
func (s *Source) options(policy *session.Policy, name *string) []Option {
	return append(policyOptions(&s.Automatic, &s.Timeout, &s.Cutoff, policy),
		ValueOption("name", &s.Name, parseName, "", name))
}

// policyOptions returns the options that a handler and each of its sources have. What
// is not set stays as it is in the policy.
func policyOptions(automatic, timeout, cutoff *Value, p *session.Policy) []Option {
	mode := ValueOption("automatic", automatic, parseAutomatic, p.Automatic, &p.Automatic)
	mode.Unmarshal = func(d *caddyfile.Dispenser) error { return unmarshalAutomatic(d, automatic, timeout) }
	return []Option{
		mode,
		ValueOption("timeout", timeout, parseMilliseconds, p.Timeout, &p.Timeout),
		ValueOption("cutoff", cutoff, parseMillisecondsOrOff, p.Cutoff, &p.Cutoff),
	}
}

func (h *Handler) readOptions() error {
	h.others.policy = session.Policy{Timeout: defaultTimeout, Retention: h.app.settings.Retention, Shared: h.ShareSessions}
	h.others.meter = newEventMeter("")
	return ReadOptions(h.options())
}

func (h *Handler) readSources() error {
	h.sources = map[string]*source{}
	for key, given := range h.Sources {
		writeKey, err := ReadAll("source", []string{key})
		if err != nil {
			return err
		}
		if h.sources[writeKey[0]] != nil {
			return fmt.Errorf("source: %q stands twice", key)
		}
		s := &source{policy: h.others.policy}
		if err := ReadOptions(given.options(&s.policy, &s.name)); err != nil {
			return fmt.Errorf("source %q: %w", key, err)
		}
		s.meter = newEventMeter(s.name)
		h.sources[writeKey[0]] = s
	}
	return nil
}

func (h *Handler) readWriteKeys() error {
	writeKeys, err := ReadAll("write_keys", h.WriteKeys)
	if err != nil {
		return err
	}
	h.writeKeys = map[string]struct{}{}
	for _, key := range writeKeys {
		h.writeKeys[key] = struct{}{}
	}
	return nil
}
