package caddymodule

import (
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

// revealing is the option of every dialect that can tell callers whether an
// account exists.
const revealing = "reveal_accounts"

// dialects reads `dialect NAME { … }`, with the options that the dialect has.
// What is kept is what was written. Values that are all literal are judged
// here; files are read at Provision.
func dialects(to *map[string]json.RawMessage) func(*caddyfile.Dispenser) error {
	lines := make(map[string]int)
	return func(d *caddyfile.Dispenser) error {
		at := here(d)
		name, err := oneValue(d, "dialect "+strings.Join(dialect.Names(), "|"))
		if err != nil {
			return err
		}
		spoken := dialect.New(name)
		if spoken == nil {
			return at.WrapErr(unknownDialect(name))
		}
		if line, twice := lines[name]; twice {
			return at.Errf("`dialect %s` was already given on line %d; keep one of the two", name, line)
		}
		lines[name] = at.Line()

		written := make(map[string]any)
		places := make(map[string]*caddyfile.Dispenser)
		if err := fieldsOf(spoken).options(written, places).parse(d); err != nil {
			return err
		}
		raw := caddyconfig.JSON(written, nil)
		if !hasPlaceholder(string(raw[1:])) { // behind the brace of the object
			if err := check(spoken, raw); err != nil {
				option := err.Error()[:strings.IndexAny(err.Error()+":", ": ")]
				if place, found := places[option]; found {
					at = place
				}
				return at.Errf("dialect %s: %w", name, err)
			}
		}
		if *to == nil {
			*to = make(map[string]json.RawMessage)
		}
		(*to)[name] = raw
		return nil
	}
}

// check judges options that hold no placeholders.
func check(d web.Dialect, raw json.RawMessage) error {
	if err := fill(d, raw, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	return d.Check()
}

// speak makes the dialects of a site, anew for each load: placeholders may
// stand for something else by then.
func (h *Handler) speak(log *slog.Logger) (map[string]web.Dialect, error) {
	spoken := make(map[string]web.Dialect)
	for _, name := range slices.Sorted(maps.Keys(h.Dialects)) {
		d := dialect.New(name)
		if d == nil {
			return nil, unknownDialect(name)
		}
		if err := fill(d, h.Dialects[name], log.With("dialect", name)); err != nil {
			return nil, fmt.Errorf("dialect %s: %w", name, err)
		}
		spoken[name] = d
	}
	return spoken, nil
}

// wordings are the mails of opened dialects that have some of their own.
func wordings(spoken map[string]web.Dialect) map[string]reset.Wording {
	found := make(map[string]reset.Wording)
	for name, d := range spoken {
		if w, ok := d.(web.Worder); ok {
			found[name] = w.Wording()
		}
	}
	return found
}

// logNotes logs what opened dialects have to say of their files.
func logNotes(spoken map[string]web.Dialect, log *slog.Logger) {
	for _, name := range slices.Sorted(maps.Keys(spoken)) {
		if n, ok := spoken[name].(web.Noter); ok {
			for _, note := range n.Notes() {
				log.Info(note, "dialect", name)
			}
		}
	}
}

func unknownDialect(name string) error {
	return fmt.Errorf("there is no dialect `%s`; there are: %s", name, strings.Join(dialect.Names(), ", "))
}

// fill sets the options of a dialect from their JSON and replaces placeholders.
// Its errors begin with the name of an option.
func fill(d web.Dialect, raw json.RawMessage, log *slog.Logger) error {
	var written map[string]json.RawMessage
	if err := json.Unmarshal(raw, &written); err != nil {
		return fmt.Errorf("reading options: %w", err)
	}
	known := fieldsOf(d)
	for _, option := range slices.Sorted(maps.Keys(written)) {
		f, ok := known[option]
		if !ok {
			return fmt.Errorf("unknown option `%s`; there are: %s", option, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if string(written[option]) == "null" {
			continue // as everywhere in the configuration
		}
		if err := f.set(written[option], log); err != nil {
			return err
		}
	}
	if f, ok := known[revealing]; ok {
		if on, ok := f.to.(*bool); ok && *on {
			log.Warn("clients that show this dialect's credential are told whether an account exists", "option", revealing)
		}
	}
	return nil
}

// A field is an option of a dialect.
type field struct {
	name   string
	usage  string
	secret bool
	to     any // points to it
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
	switch to := f.to.(type) {
	case encoding.TextUnmarshaler:
		var s string
		err := text(&s, func(s string) error { return to.UnmarshalText([]byte(s)) })(d)
		written[f.name] = s
		return err
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
	case *int:
		s, err := value(d)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			return misused("`%s` is a whole number, not %q", f.name, s)
		}
		written[f.name] = n
		return nil
	case *bool:
		written[f.name] = true
		return nil
	}
	panic(f.unsupported())
}

// set takes the option from its JSON.
func (f field) set(raw json.RawMessage, log *slog.Logger) error {
	switch to := f.to.(type) {
	case encoding.TextUnmarshaler:
		var s string
		if err := f.read(raw, &s); err != nil {
			return err
		}
		if err := f.expand(&s, log); err != nil {
			return err
		}
		if err := to.UnmarshalText([]byte(s)); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		return nil
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
	case *int, *bool:
		return f.read(raw, to)
	}
	panic(f.unsupported())
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
