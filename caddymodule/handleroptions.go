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
	// defaultMaxStarts is ten a second: no user begins so many, any loop does.
	defaultMaxStarts = 600
)

// options are the handler's. Sources stand after what they take over.
func (h *Handler) options() []option {
	policy := &h.others.policy
	return slices.Concat(
		[]option{
			valueOption("identify_reset", &h.IdentifyReset, parseIdentifyReset, session.IdentifyResetWeb, &policy.IdentifyReset),
			valueOption("manual_timeout", &h.ManualTimeout, parseBound, 0, &policy.ManualTimeout),
		},
		policyOptions(&h.Automatic, &h.Timeout, &h.Cutoff, policy),
		[]option{
			{"source", h.unmarshalSource, h.readSources},
			{"control_events", h.unmarshalControlEvents, func() (err error) {
				h.names, err = parseNames(h.ControlEvents)
				return err
			}},
			{"write_keys", func(d *caddyfile.Dispenser) error { return List(d, "write_keys", &h.WriteKeys) }, h.readWriteKeys},
			valueOption("max_body", &h.MaxBody, parseMaxBody, defaultMaxBody, &h.maxBody),
			valueOption("on_store_error", &h.OnStoreError, parseOnStoreError, false, &h.reject),
			valueOption("max_session_starts", &h.MaxSessionStarts, parseMaxStarts, defaultMaxStarts, &h.maxStarts),
			valueOption("finish_timeout", &h.FinishTimeout, parseTimeout, defaultFinishTimeout, &h.finish),
			valueOption("prefix", &h.Prefix, parsePrefix, "", &h.prefix),
			flagOption("share_sessions", &h.ShareSessions),
			flagOption("follow_user", &h.FollowUser),
			flagOption("keep_encoding", &h.KeepEncoding),
			flagOption("shadow", &h.Shadow),
		})
}

// options are a source's, which are put into a policy that has the handler's.
func (s *Source) options(policy *session.Policy, name *string) []option {
	return append(policyOptions(&s.Automatic, &s.Timeout, &s.Cutoff, policy),
		valueOption("name", &s.Name, parseName, "", name))
}

// policyOptions are those that a handler and each of its sources have. What is not
// set stays as it is in the policy.
func policyOptions(automatic, timeout, cutoff *Value, p *session.Policy) []option {
	who := valueOption("automatic", automatic, parseAutomatic, p.Automatic, &p.Automatic)
	who.unmarshal = func(d *caddyfile.Dispenser) error { return unmarshalAutomatic(d, automatic, timeout) }
	return []option{
		who,
		valueOption("timeout", timeout, ParseDuration, p.Timeout, &p.Timeout),
		valueOption("cutoff", cutoff, parseBound, p.Cutoff, &p.Cutoff),
	}
}

func (h *Handler) readOptions() error {
	h.others.policy = session.Policy{Timeout: defaultTimeout, Retention: h.app.settings.Retention, Shared: h.ShareSessions}
	h.others.meter = newEventMeter("")
	return readOptions(h.options())
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
		if err := readOptions(given.options(&s.policy, &s.name)); err != nil {
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
