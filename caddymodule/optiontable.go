package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Option is one option of a module: a line of its block in a Caddyfile, and a
// member of its object in JSON. Each module has one list of them, for both forms.
type Option struct {
	Name string
	// Unmarshal reads the rest of the option's line of a Caddyfile.
	Unmarshal func(d *caddyfile.Dispenser) error
	// Read replaces placeholders in the configured value, parses it and stores the
	// result. It runs when the module is provisioned, for both forms. It is nil for
	// an option that needs none of this.
	Read func() error
}

// ValueOption is an option with one value, which is configured in from. Read
// stores the parsed value in to, or byDefault if nothing is configured.
func ValueOption[T any](name string, from *Value, parse func(string) (T, error), byDefault T, to *T) Option {
	return Option{
		Name:      name,
		Unmarshal: func(d *caddyfile.Dispenser) error { return unmarshalValue(d, name, from, parse) },
		Read: func() (err error) {
			*to, err = Read(name, *from, parse, byDefault)
			return err
		},
	}
}

// FlagOption is an option without a value.
func FlagOption(name string, to *bool) Option {
	return Option{Name: name, Unmarshal: func(d *caddyfile.Dispenser) error { return unmarshalFlag(d, name, to) }}
}

// UnmarshalBlock reads what follows the arguments of a directive or an option:
// nothing, or a block of options. It returns how many options the block has.
// Errors begin with name.
func UnmarshalBlock(d *caddyfile.Dispenser, name string, options []Option) (count int, err error) {
	if d.NextArg() {
		return 0, d.Errf("%s: unexpected %q", name, d.Val())
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); count++ {
		option := d.Val()
		i := slices.IndexFunc(options, func(o Option) bool { return o.Name == option })
		if i < 0 {
			return count, d.Errf("%s: unknown option %q", name, option)
		}
		if err := options[i].Unmarshal(d); err != nil {
			return count, err
		}
	}
	return count, nil
}

// ReadOptions calls Read of all options, in their order, up to the first error.
func ReadOptions(options []Option) error {
	for _, o := range options {
		if o.Read == nil {
			continue
		}
		if err := o.Read(); err != nil {
			return err
		}
	}
	return nil
}
