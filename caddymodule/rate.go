package caddymodule

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	maxEvents  = 1000 // of one rate: an account's record remembers the time of each
	maxWindows = 5    // how many rates one limit may have
)

// parseWindows reads the rates of a limit, like "1/1m 5/1h". The word "off"
// gives none.
func parseWindows(s string) ([]reset.Window, error) {
	windows, err := parseRates(s)
	if err != nil {
		return nil, err
	}
	for _, w := range windows {
		if err := w.Check(); err != nil {
			return nil, err
		}
	}
	return windows, nil
}

// parseWindow is parseWindows for a limit that has one rate only.
func parseWindow(s string) ([]reset.Window, error) { return only(parseWindows(s)) }

// parsePace reads how often something may be done. Nobody counts that in
// milliseconds: it may be faster than a limit.
func parsePace(s string) ([]reset.Window, error) { return only(parseRates(s)) }

func parseRates(s string) ([]reset.Window, error) {
	if s == "off" {
		return nil, nil
	}
	words := strings.Fields(s)
	if len(words) == 0 || len(words) > maxWindows {
		return nil, fmt.Errorf("one to %d rates are taken, not %d", maxWindows, len(words))
	}
	windows := make([]reset.Window, len(words))
	for i, word := range words {
		number, span, found := strings.Cut(word, "/")
		n, errNumber := strconv.Atoi(number)
		per, errSpan := caddy.ParseDuration(span)
		if !found || errNumber != nil || errSpan != nil {
			return nil, fmt.Errorf("%q is not a rate like 5/1h", word)
		}
		if n < 1 || n > maxEvents || per <= 0 || per > reset.MaxWindow {
			return nil, fmt.Errorf("%q is out of bounds: 1 to %d in at most %s", word, maxEvents, short(reset.MaxWindow))
		}
		windows[i] = reset.Window{N: n, Per: per}
	}
	return windows, nil
}

func only(windows []reset.Window, err error) ([]reset.Window, error) {
	if err == nil && len(windows) > 1 {
		return nil, fmt.Errorf("one rate is taken, not %d", len(windows))
	}
	return windows, err
}
