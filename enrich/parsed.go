package enrich

import (
	"context"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// Parsed is a request whose body has been read, and about which nothing has been
// decided yet. [Enrich] and [Control] do both at once; with Parse the bodies of many
// requests can be read at the same time, and be decided about in order.
type Parsed struct {
	w        *work
	r        *Request
	skip     SkipReason // of a control request
	result   Result
	readable bool
}

// Parse reads the body of a request. The caller must call Enrich or, for a control
// endpoint, Control, once; r and body must not change until then.
func Parse(r *Request, body []byte) *Parsed {
	p := &Parsed{w: works.Get().(*work), r: r}
	if r.Endpoint.Control() {
		if p.readable = p.w.parse(r, body); p.readable {
			p.skip = p.w.extract(r, 0)
		}
		return p
	}
	p.readable = p.w.read(r, body, &p.result)
	return p
}

// EachKey calls fn with the session key of each message that has one. The key is
// valid during the call.
func (p *Parsed) EachKey(fn func(key string)) {
	if !p.readable {
		return
	}
	for i := range p.w.subjects {
		fn(p.w.text(p.w.subjects[i].key))
	}
}

// Enrich does what [Enrich] does.
func (p *Parsed) Enrich(ctx context.Context, table *sessionstate.Table) Result {
	defer p.w.free()
	if p.readable {
		p.w.enrich(ctx, table, p.r, &p.result)
	}
	return p.result
}

// Control does what [Control] does.
func (p *Parsed) Control(ctx context.Context, table *sessionstate.Table) (id int64, o Outcome, err error) {
	defer p.w.free()
	switch {
	case !p.readable:
		return 0, o, ErrBody
	case p.skip != NotSkipped:
		return 0, o, ErrNoID
	}
	return p.w.control(ctx, table, p.r)
}
