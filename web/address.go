package web

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// parseBaseURL accepts an address that is safe to mail links to. A link made
// from a plain http address could be read by anybody on the way.
func parseBaseURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, errors.New("base_url is required: the public address of the site, such as https://app.example.com")
	}
	u, err := parseAddress(s)
	if err != nil {
		return nil, fmt.Errorf("base_url %q: %w", s, err)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, fmt.Errorf("base_url %q: no query or fragment is possible here", s)
	}
	if u.Path = strings.TrimSuffix(u.Path, "/"); u.Path != "" {
		if _, err := parsePath(u.Path); err != nil {
			return nil, fmt.Errorf("base_url %q: %w", s, err)
		}
	}
	return u, nil
}

// parseAddress parses an absolute address: https, or http to this machine.
func parseAddress(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("not an address")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("it has to begin with https://")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("the host is missing")
	case u.User != nil:
		return nil, errors.New("no user name is possible here")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("plain http is for localhost, 127.0.0.0/8 and [::1] only: write https://")
	}
	return u, nil
}

// CheckPath judges, as [New] will, what an option of a [Dialect] puts before the
// vendor's paths: "" or "/" for the root, else a path that reads the same to
// everybody. Its errors begin with "path".
func CheckPath(s string) error {
	switch {
	case s == "" || s == "/":
		return nil
	case s[0] != '/':
		return fmt.Errorf("path %q: it has to begin with a slash", s)
	}
	_, err := parsePath(s)
	return err
}

// parsePath accepts a path that reads the same to everybody: no escapes, no
// empty or dot segments. One slash at the end is dropped.
func parsePath(s string) (string, error) {
	p := strings.TrimSuffix(s, "/")
	if !strings.HasPrefix(p, "/") {
		return "", fmt.Errorf("path %q: it has to begin with a slash and be more than one", s)
	}
	for segment := range strings.SplitSeq(p[1:], "/") {
		if err := checkSegment(segment); err != nil {
			return "", fmt.Errorf("path %q: %w", s, err)
		}
	}
	return p, nil
}

func checkSegment(s string) error {
	if s == "" || s == "." || s == ".." {
		return errors.New("empty and dot segments are not possible")
	}
	for _, c := range []byte(s) {
		if !isUnreserved(c) {
			return errors.New("only letters, digits, and - . _ ~ are possible")
		}
	}
	return nil
}

// checkTarget accepts what a person may be sent to: a path on this host or an
// absolute address. "//host", "/\host" and "javascript:" are not paths
// (CWE-601).
func checkTarget(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return errors.New("spaces, controls and backslashes are not possible")
	}
	if strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") {
		if _, err := url.Parse(s); err != nil {
			return errors.New("not a path")
		}
		return nil
	}
	_, err := parseAddress(s)
	return err
}

func isLoopback(host string) bool {
	if string(fold([]byte(host))) == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// isUnreserved tells the characters that need no escape in a URL (RFC 3986
// section 2.3).
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
