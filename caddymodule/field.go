package caddymodule

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// A field is an option of a dialect.
type field struct {
	name   string
	usage  string
	secret bool
	to     any // points to a string, strings, a bool or a span of time
}

type fields map[string]field

// fieldsOf returns the exported fields of the struct that a dialect points to,
// by the names in their json tags. The tag `usage` says how the option is
// written; `secret:"true"` that its value is one.
func fieldsOf(d web.Dialect) fields {
	found := make(fields)
	v := reflect.ValueOf(d).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Anonymous || !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		found[name] = field{
			name:   name,
			usage:  f.Tag.Get("usage"),
			secret: f.Tag.Get("secret") == "true",
			to:     v.FieldByIndex(f.Index).Addr().Interface(),
		}
	}
	return found
}

// options are the words of a dialect's block. What follows a word goes into
// written, and the place of the word into places.
func (fs fields) options(written map[string]any, places map[string]*caddyfile.Dispenser) options {
	words := make(options, len(fs))
	for name, f := range fs {
		_, list := f.to.(*[]string)
		words[name] = option{usage: f.usage, many: list, parse: func(d *caddyfile.Dispenser) error {
			places[name] = here(d)
			return f.parse(d, written)
		}}
	}
	return words
}

// parse reads what follows the option's word.
func (f field) parse(d *caddyfile.Dispenser, written map[string]any) error {
	switch f.to.(type) {
	case *string:
		var s string
		err := text(&s)(d)
		written[f.name] = s
		return err
	case *[]string:
		list, _ := written[f.name].([]string)
		err := texts(&list)(d)
		written[f.name] = list
		return err
	case *bool:
		written[f.name] = true
		return nil
	case *time.Duration:
		s, err := value(d)
		if err != nil {
			return err
		}
		if _, ok := span(s); !ok && !hasPlaceholder(s) {
			return misusedSpan(f.name, s)
		}
		written[f.name] = s
		return nil
	}
	panic(f.unsupported())
}

// set takes the option from its JSON.
func (f field) set(raw json.RawMessage, log *slog.Logger) error {
	switch to := f.to.(type) {
	case *string:
		if err := f.read(raw, to); err != nil {
			return err
		}
		return f.expand(to, log)
	case *[]string:
		var list []string // not in the place of the default, which others may have too
		if err := f.read(raw, &list); err != nil {
			return err
		}
		for i := range list {
			if err := f.expand(&list[i], log); err != nil {
				return err
			}
		}
		*to = list
		return nil
	case *bool:
		return f.read(raw, to)
	case *time.Duration:
		return f.setSpan(to, raw, log)
	}
	panic(f.unsupported())
}

// setSpan reads a span of time as [caddy.Duration] does: from text, or from a
// number of nanoseconds.
func (f field) setSpan(to *time.Duration, raw json.RawMessage, log *slog.Logger) error {
	ok := false
	if raw[0] == '"' {
		var s string
		if err := f.read(raw, &s); err != nil {
			return err
		}
		if err := f.expand(&s, log); err != nil {
			return err
		}
		*to, ok = span(s)
	} else {
		if err := f.read(raw, to); err != nil {
			return err
		}
		ok = *to > 0
	}
	if !ok {
		return fmt.Errorf("%s: it is a span of time above zero, such as 15m", f.name)
	}
	return nil
}

func (f field) read(raw json.RawMessage, to any) error {
	if err := json.Unmarshal(raw, to); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

func (f field) expand(s *string, log *slog.Logger) (err error) {
	if f.secret {
		warnInClear(log, f.name, *s)
		*s, err = expandSecret(f.name, *s)
	} else {
		*s, err = expand(f.name, *s)
	}
	return err
}

func (f field) unsupported() string {
	return fmt.Sprintf("caddymodule: option %s of a dialect is a %T", f.name, f.to)
}

// isLiteral tells whether no value has a placeholder.
func isLiteral(written map[string]any) bool {
	for _, v := range written {
		switch v := v.(type) {
		case string:
			if hasPlaceholder(v) {
				return false
			}
		case []string:
			if slices.ContainsFunc(v, hasPlaceholder) {
				return false
			}
		}
	}
	return true
}
