package caddymodule

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// expand replaces the placeholders that the operator wrote in a setting. It is
// the only place where text meets the replacer, and only settings get here: a
// visitor's text would read files and secrets ({file./etc/passwd}, the fault
// behind CVE-2026-30852). One that is unset or empty is an error, since a
// secret that silently becomes "" protects nothing.
func expand(name, s string) (string, error) {
	if !hasPlaceholder(s) {
		return s, nil
	}
	v, err := caddy.NewReplacer().ReplaceOrErr(s, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}

// expandSecret is expand for a setting that may hold a secret itself. A
// password with braces in it looks like a placeholder, and Caddy's error would
// quote it.
func expandSecret(name, s string) (string, error) {
	v, err := expand(name, s)
	if err == nil {
		return v, nil
	}
	inner, closed := strings.CutSuffix(s, "}")
	for source, cure := range map[string]string{
		"{env.":  "set it in the environment that Caddy runs in",
		"{file.": "write it into that file, readable by Caddy only",
	} {
		if closed && strings.HasPrefix(s, source) && !strings.ContainsAny(inner[1:], "{}") {
			return "", fmt.Errorf("%w: %s", err, cure)
		}
	}
	return "", fmt.Errorf("%s: %w", name, errBraces)
}

// warnInClear tells the operator of a secret that everybody reads who sees the
// configuration. {$NAME} is one as well: it is replaced before we see it.
func warnInClear(log *slog.Logger, name, s string) {
	if s != "" && !hasPlaceholder(s) {
		log.Warn("a secret stands in clear in the configuration, and so in the admin API and in autosave.json; write {env.NAME}, not {$NAME}, or {file./path}",
			"option", name)
	}
}

var errBraces = errors.New("is neither a plain secret nor one {env.NAME} or {file./path}; put a secret that has braces in it into a file, readable by Caddy only, and write {file./path}")

// expandAll replaces the placeholders of several settings in place.
func expandAll(settings map[string]*string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		v, err := expand(name, *settings[name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		*settings[name] = v
	}
	return errors.Join(errs...)
}
