package web

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
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
	// As it is written: an escape would stand in some links and not in others.
	if u.Path, u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/"), ""; u.Path != "" {
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

// CheckOrigins judges what an option of a [Dialect] gives as the Origins of an
// [Endpoint]: "*" alone, or origins as browsers send them (RFC 6454 section
// 6.2), those of web views such as capacitor://localhost too. One in another
// spelling would never be met. Its errors begin with "origins: ".
func CheckOrigins(origins []string) error {
	for _, o := range origins {
		switch o {
		case "*":
			if len(origins) > 1 {
				return errors.New("origins: * stands for all; write it alone")
			}
			continue
		case "null":
			return errors.New("origins: null stands for pages of any site, such as one in a sandboxed frame; write the origin of yours")
		}
		sent, err := originOf(o)
		if err != nil {
			return fmt.Errorf("origins: %q is %w; write `origins *`, or addresses without a path such as `origins https://app.example.com`", o, err)
		}
		if o != sent {
			return fmt.Errorf("origins: %q is not how browsers send it; write %s", o, sent)
		}
	}
	return nil
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

// originOf returns the origin of an address as browsers send it.
func originOf(address string) (string, error) {
	notOne := errors.New("not an origin")
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil {
		return "", notOne
	}
	switch u.Scheme {
	case "about", "blob", "data", "file", "ftp", "javascript", "ws", "wss":
		return "", errors.New("no origin that pages have")
	}
	host, err := hostOf(u.Hostname())
	if err != nil {
		return "", notOne
	}
	origin := u.Scheme + "://" + host
	if u.Port() == "" {
		return origin, nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case err != nil:
		return "", notOne
	case u.Scheme == "https" && port == 443, u.Scheme == "http" && port == 80:
		return origin, nil
	}
	return fmt.Sprintf("%s:%d", origin, port), nil
}

// hostOf returns a host as it stands in an origin: in ASCII and lower case
// (WHATWG URL, section 3.5).
func hostOf(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		if ip.Is6() {
			return "[" + ip.String() + "]", nil
		}
		return host, nil
	}
	host, err := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false)).ToASCII(host)
	if err != nil {
		return "", err
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if err := checkSegment(label); err != nil {
			return "", err
		}
	}
	// Browsers take one that ends in a number for an IPv4 address, in forms of
	// old as well.
	if _, err := strconv.ParseUint(labels[len(labels)-1], 0, 64); err == nil {
		return "", errors.New("not a host")
	}
	return host, nil
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
