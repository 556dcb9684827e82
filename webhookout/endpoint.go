package webhookout

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// reach is how far away a connection may end.
type reach int

const (
	reachLoopback reach = iota // this machine
	reachPrivate               // and private or link-local addresses
	reachAnywhere              // TLS protects the way
)

// An endpoint is a parsed [Options.URL].
type endpoint struct {
	url    *url.URL
	socket string // of a Unix domain socket; otherwise ""
	reach  reach
	clear  bool // clear text may leave this machine
}

// parseEndpoint reads the URL of a hook. Its errors do not quote the URL,
// which may hold a credential in its user name or query.
func parseEndpoint(raw string, insecureHTTP bool) (endpoint, error) {
	if rest, ok := strings.CutPrefix(raw, "unix/"); ok {
		return parseSocket(rest)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || (u.Scheme != "http" && u.Scheme != "https") {
		return endpoint{}, errors.New("not a URL of the form https://host/path, http://127.0.0.1:3000/path or unix//run/app.sock:/path")
	}
	if err := checkURL(u); err != nil {
		return endpoint{}, err
	}
	if u.Scheme == "https" {
		return endpoint{url: u, reach: reachAnywhere}, nil
	}

	e := endpoint{url: u, reach: reachLoopback}
	local := isLocalName(u.Hostname())
	addr, literalErr := netip.ParseAddr(u.Hostname())
	if literalErr == nil {
		local = addr.IsLoopback()
	}
	if local {
		return e, nil
	}
	if !insecureHTTP {
		return endpoint{}, errors.New("http:// is for this machine only, as the password would travel in clear: use https://, or insecure_http on a network you trust")
	}
	e.reach, e.clear = reachPrivate, true
	if literalErr == nil {
		return e, e.reach.check(addr)
	}
	return e, nil
}

// parseSocket reads what follows "unix/": an absolute path, or "@" and an
// abstract name as on Linux, then ":" and the path of the hook ("/" if it is
// missing).
func parseSocket(s string) (endpoint, error) {
	socket, hook, _ := strings.Cut(s, ":/")
	if !(path.IsAbs(socket) || strings.HasPrefix(socket, "@")) || len(socket) < 2 || strings.ContainsRune(socket, 0) {
		return endpoint{}, errors.New("a socket is written unix//absolute/path.sock:/path/of/the/hook")
	}
	u, err := url.Parse("http://localhost/" + hook)
	if err != nil {
		return endpoint{}, errors.New("the path after the socket is not one of a URL")
	}
	return endpoint{url: u, socket: socket}, checkURL(u)
}

func checkURL(u *url.URL) error {
	switch {
	case u.User != nil:
		return errors.New("no user name or password may stand in the URL: the signature says who is calling")
	case u.Hostname() == "":
		return errors.New("the URL has no host")
	case u.Fragment != "":
		return errors.New("the URL has a fragment (#), which is never sent")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return errors.New("the port of the URL is not one")
		}
	}
	return nil
}

// dial opens a connection.
func (e endpoint) dial(ctx context.Context, d net.Dialer, network, address string) (net.Conn, error) {
	if e.socket != "" {
		return d.DialContext(ctx, "unix", e.socket)
	}
	if e.reach != reachAnywhere {
		// The name was resolved just now, and may be another machine than it
		// was at the last look (DNS rebinding): judge what is really dialled.
		d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return &fault{text: "address cannot be judged", alarm: true}
			}
			return e.reach.check(ap.Addr())
		}
	}
	return d.DialContext(ctx, network, address)
}

// check refuses an address beyond reach. Everything that is not known to be
// near counts as public.
func (r reach) check(addr netip.Addr) error {
	switch {
	case r == reachAnywhere, addr.IsLoopback():
		return nil
	case r == reachPrivate && (addr.IsPrivate() || addr.IsLinkLocalUnicast()):
		return nil
	case r == reachPrivate:
		return &fault{text: fmt.Sprintf("%s is neither private nor link-local: clear text is never sent there; use https://", addr), alarm: true, err: errTooFar}
	default:
		return &fault{text: fmt.Sprintf("%s is another machine: clear text is not sent there; use https://, or insecure_http on a network you trust", addr), alarm: true, err: errTooFar}
	}
}

// isLocalName says whether a name always means this machine (RFC 6761,
// section 6.3).
func isLocalName(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if i := len(host) - len("localhost"); i >= 0 {
		return asciiEqual(host[i:], "localhost") && (i == 0 || host[i-1] == '.')
	}
	return false
}

// asciiEqual compares with ASCII case folding only; lower is in lower case.
func asciiEqual(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
