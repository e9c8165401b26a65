package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// option is one option of a block of the Caddyfile, which is a member of an object
// in JSON. Tables of them are what both forms of configuration are read by.
type option struct {
	name string
	// unmarshal reads a line of a Caddyfile, after the name.
	unmarshal func(d *caddyfile.Dispenser) error
	// read replaces placeholders, parses the value and puts it where it is used,
	// whichever form it came in. It is nil for what is used as it is.
	read func() error
}

// valueOption is an option with one value: from the configuration it is parsed
// and put into to. Without a value that gets the default.
func valueOption[T any](name string, from *Value, parse func(string) (T, error), byDefault T, to *T) option {
	return option{
		name:      name,
		unmarshal: func(d *caddyfile.Dispenser) error { return Option(d, name, from, parse) },
		read: func() (err error) {
			*to, err = Read(name, *from, parse, byDefault)
			return err
		},
	}
}

// flagOption is an option without a value.
func flagOption(name string, to *bool) option {
	return option{name: name, unmarshal: func(d *caddyfile.Dispenser) error { return flag(d, name, to) }}
}

// unmarshalBlock reads the options of a block, whose name is for errors. It returns
// how many lines there were.
func unmarshalBlock(d *caddyfile.Dispenser, block string, options []option) (lines int, err error) {
	for nesting := d.Nesting(); d.NextBlock(nesting); lines++ {
		name := d.Val()
		i := slices.IndexFunc(options, func(o option) bool { return o.name == name })
		if i < 0 {
			return lines, d.Errf("%s: unknown option %q", block, name)
		}
		if err := options[i].unmarshal(d); err != nil {
			return lines, err
		}
	}
	return lines, nil
}

// readOptions reads all options, in the order of the table.
func readOptions(options []option) error {
	for _, o := range options {
		if o.read == nil {
			continue
		}
		if err := o.read(); err != nil {
			return err
		}
	}
	return nil
}
