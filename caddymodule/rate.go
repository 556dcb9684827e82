package caddymodule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	maxEvents  = 1000           // of one rate: an account's record remembers the time of each
	maxSpan    = 24 * time.Hour // of one rate: and that long
	maxWindows = 5              // how many rates one limit may have

	// maxPerSecond is what the limit by address can still count: it knows
	// milliseconds, and opening links is allowed twenty times as often as
	// asking for them.
	maxPerSecond = 50
)

// parseWindows reads rates like "1/1m 5/1h". The word "off" gives none.
func parseWindows(s string) ([]reset.Window, error) {
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
		if n < 1 || n > maxEvents || per <= 0 || per > maxSpan {
			return nil, fmt.Errorf("%q is out of bounds: 1 to %d in at most 24 hours", word, maxEvents)
		}
		windows[i] = reset.Window{N: n, Per: per}
	}
	return windows, nil
}

// parseRate is parseWindows for a limit that has one rate only.
func parseRate(s string) ([]reset.Window, error) {
	windows, err := parseWindows(s)
	if err == nil && len(windows) > 1 {
		return nil, fmt.Errorf("one rate is taken, not %d", len(windows))
	}
	return windows, err
}

// parsePerIP is parseRate for the limit by address.
func parsePerIP(s string) ([]reset.Window, error) {
	windows, err := parseRate(s)
	for _, w := range windows {
		if float64(w.N)/w.Per.Seconds() > maxPerSecond {
			return nil, fmt.Errorf("%q is more than %d a second; write off for no limit", s, maxPerSecond)
		}
	}
	return windows, err
}
