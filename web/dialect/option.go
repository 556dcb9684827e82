package dialect

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// A Duration is a span of time that is written as 15m or 24h.
type Duration time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(text []byte) error {
	span, err := time.ParseDuration(string(text))
	if err != nil || span <= 0 {
		return errors.New("it is a span of time above zero, such as 15m")
	}
	*d = Duration(span)
	return nil
}

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// mount returns what stands before the vendor's paths: "" for the root.
func mount(path string) string { return strings.TrimSuffix(path, "/") }

// checkPath judges the option `path`.
func checkPath(path string) error { return web.CheckPath(path) }

// checkOrigins judges the option `origins`: "*", or origins as browsers send
// them (RFC 6454 section 6.2).
func checkOrigins(origins []string) error {
	for _, o := range origins {
		if o == "*" && len(origins) == 1 {
			continue
		}
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || o != u.Scheme+"://"+u.Host || reset.Fold(o) != o {
			return fmt.Errorf("origins: %q is not an origin; write `origins *`, or addresses without a path such as `origins https://app.example.com`", o)
		}
	}
	return nil
}

// among tells whether a credential is one of those listed, in a time that
// depends on neither.
func among(credential string, list []string) bool {
	got := sha256.Sum256([]byte(credential))
	found := 0
	for _, known := range list {
		want := sha256.Sum256([]byte(known))
		found |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return found == 1
}
