package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// An option is one word of a block in the Caddyfile.
type option struct {
	usage string                           // how it is written, for error messages
	many  bool                             // may be given more than once
	parse func(*caddyfile.Dispenser) error // reads what follows the word
}

// options are the words that a block knows.
type options map[string]option

// parse reads the block that begins on the line of the current token, if there
// is one. Whatever it refuses carries file and line and says what to write.
func (o options) parse(d *caddyfile.Dispenser) error {
	owner := d.Val()
	seen := make(map[string]int)
	previous := owner
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if word == "{" {
			return d.Errf("`%s` takes no block", previous)
		}
		opt, known := o[word]
		if !known {
			return d.Errf("unknown option `%s`; there are: %s", word, strings.Join(slices.Sorted(maps.Keys(o)), ", "))
		}
		if line, twice := seen[word]; twice && !opt.many {
			return d.Errf("`%s` was already given on line %d; keep one of the two", word, line)
		}
		seen[word] = d.Line()
		previous = word
		err := opt.parse(d)
		if err == nil {
			err = noMore(d)
		}
		if err != nil {
			return withUsage(d, err, opt.usage)
		}
	}
	return nil
}

// A usageError is answered with the usage of the option that it came from.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func misused(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// withUsage answers a [usageError] with how it is written.
func withUsage(d *caddyfile.Dispenser, err error, usage string) error {
	var misuse *usageError
	if errors.As(err, &misuse) {
		return d.Errf("%s; write `%s`", misuse.text, usage)
	}
	return err
}

// noMore holds that the line ends here.
func noMore(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return misused("`%s` is one word too many", d.Val())
	}
	return nil
}

// oneValue reads the one value of a word and ends its line, for a word that
// may have a block after it or stands alone.
func oneValue(d *caddyfile.Dispenser, usage string) (string, error) {
	v, err := value(d)
	if err == nil {
		err = noMore(d)
	}
	if err != nil {
		return "", withUsage(d, err, usage)
	}
	return v, nil
}

// value reads the one value that a word takes.
func value(d *caddyfile.Dispenser) (string, error) { return valueOf(d.Val(), d) }

func valueOf(word string, d *caddyfile.Dispenser) (string, error) {
	if !d.NextArg() {
		return "", misused("`%s` lacks its value", word)
	}
	if d.Val() == "" {
		return "", misused("the value of `%s` is empty", word)
	}
	return d.Val(), nil
}

// text reads one value into s. Each check judges a literal; a value with
// placeholders is judged when it is known, at Provision.
func text(s *string, checks ...func(string) error) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) (err error) {
		*s, err = textOf(d.Val(), d, checks)
		return err
	}
}

func textOf(word string, d *caddyfile.Dispenser, checks []func(string) error) (string, error) {
	v, err := valueOf(word, d)
	if err != nil || hasPlaceholder(v) {
		return v, err
	}
	for _, check := range checks {
		if err := check(v); err != nil {
			if strings.HasPrefix(err.Error(), word) {
				return "", d.WrapErr(err)
			}
			return "", d.Errf("%s: %w", word, err)
		}
	}
	return v, nil
}

// texts reads one or more values and appends them to s.
func texts(s *[]string, checks ...func(string) error) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		word := d.Val()
		for first := true; first || d.CountRemainingArgs() > 0; first = false {
			one, err := textOf(word, d, checks)
			if err != nil {
				return err
			}
			*s = append(*s, one)
		}
		return nil
	}
}

// appended reads one value and appends it to s, for a word that may be
// repeated.
func appended(s *[]string, checks ...func(string) error) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		var one string
		if err := text(&one, checks...)(d); err != nil {
			return err
		}
		*s = append(*s, one)
		return nil
	}
}

// choice reads one of the given words.
func choice(s *string, words ...string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		word := d.Val()
		v, err := value(d)
		if err != nil {
			return err
		}
		if !slices.Contains(words, v) {
			return misused("`%s` cannot be %q", word, v)
		}
		*s = v
		return nil
	}
}

// flag reads a word that stands alone.
func flag(b *bool) func(*caddyfile.Dispenser) error {
	return func(*caddyfile.Dispenser) error {
		*b = true
		return nil
	}
}

// count reads a whole number above zero.
func count(n *int) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		word := d.Val()
		v, err := value(d)
		if err != nil {
			return err
		}
		if *n, err = strconv.Atoi(v); err != nil || *n < 1 {
			return misused("`%s` is a whole number above zero, not %q", word, v)
		}
		return nil
	}
}

// duration reads a span of time above zero.
func duration(t *caddy.Duration) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		word := d.Val()
		v, err := value(d)
		if err != nil {
			return err
		}
		parsed, ok := span(v)
		if !ok {
			return misusedSpan(word, v)
		}
		*t = caddy.Duration(parsed)
		return nil
	}
}

// span parses a span of time above zero.
func span(s string) (time.Duration, bool) {
	parsed, err := caddy.ParseDuration(s)
	return parsed, err == nil && parsed > 0
}

func misusedSpan(word, s string) error {
	return misused("`%s` is a span of time above zero, not %q", word, s)
}

// rates reads rates as parse takes them, or "off".
func rates(s *string, parse func(string) ([]reset.Window, error)) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		word := d.Val()
		if _, err := value(d); err != nil {
			return err
		}
		v := strings.Join(append([]string{d.Val()}, d.RemainingArgs()...), " ")
		if _, err := parse(v); err != nil {
			return misused("%s: %s", word, err)
		}
		*s = v
		return nil
	}
}

// here keeps the place of the current token, for an error that is found later.
func here(d *caddyfile.Dispenser) *caddyfile.Dispenser {
	at := caddyfile.NewDispenser([]caddyfile.Token{d.Token()})
	at.Next()
	return at
}

// hasPlaceholder reports whether Caddy would expand something in s.
func hasPlaceholder(s string) bool { return strings.Contains(s, "{") }
