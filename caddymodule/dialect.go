package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

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
		if isLiteral(written) {
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

// wordings are the mails of dialects that have some of their own.
func wordings(contracts map[string]web.Contract) map[string]reset.Wording {
	all := make(map[string]reset.Wording, len(contracts))
	for name, c := range contracts {
		all[name] = c.Wording
	}
	return all
}

// logNotes logs what dialects have to say of their configuration.
func logNotes(contracts map[string]web.Contract, log *slog.Logger) {
	for _, name := range slices.Sorted(maps.Keys(contracts)) {
		for _, note := range contracts[name].Notes {
			level := slog.LevelInfo
			if note.Warning {
				level = slog.LevelWarn
			}
			log.Log(context.Background(), level, note.Text, "dialect", name)
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
	return nil
}
