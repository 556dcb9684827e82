package smtpout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// A security says how a connection is protected.
type security string

const (
	starttls security = "starttls"
	implicit security = "implicit"
	off      security = "off"
)

// submissions is the port of SMTP over TLS (RFC 8314 section 7.3).
const submissions = 465

// secure settles the address and how connections to it are protected.
func (c *Client) secure(o Options) error {
	host, service, err := net.SplitHostPort(o.Address)
	if err != nil || host == "" {
		return fmt.Errorf("address %q is not host:port", o.Address)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return fmt.Errorf("address %q has no port number", o.Address)
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("address %q has a space or control character", o.Address)
	}
	c.host, c.address, c.security = host, o.Address, security(o.TLS)
	switch {
	case c.security == starttls, c.security == implicit:
	case c.security == off:
		if !loopback(host) {
			return fmt.Errorf("tls off is for a relay on this machine only, and %s is another: links and codes would cross the network in clear", host)
		}
	case c.security != "":
		return fmt.Errorf("tls %q is none of starttls, implicit, off", o.TLS)
	case port == submissions:
		c.security = implicit
	case loopback(host) && o.User == "":
		c.security = off
	default: // a login needs TLS, on this machine too
		c.security = starttls
	}
	if c.security == off {
		if o.TrustedCA != "" {
			return errors.New("trusted_ca makes no sense while TLS is off, which is the default for a relay on this machine: set tls to starttls or implicit")
		}
		return nil
	}
	c.tls = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	// Records that grow show the top of a page early. A mail counts when it is
	// whole, and each record is a write of its own.
	c.tls.DynamicRecordSizingDisabled = true
	if o.TrustedCA == "" {
		// The first one to need them reads them for all time: were it a mail that
		// finds no descriptor left, no relay would be trusted any more.
		if _, err := x509.SystemCertPool(); err != nil {
			return fmt.Errorf("reading the certificates of this machine: %w", err)
		}
	} else {
		pem, err := os.ReadFile(o.TrustedCA)
		if err != nil {
			return fmt.Errorf("reading trusted_ca: %w", err)
		}
		c.tls.RootCAs = x509.NewCertPool()
		if !c.tls.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("trusted_ca %s holds no certificate in PEM", o.TrustedCA)
		}
	}
	return nil
}

// introduce settles the name that EHLO carries.
func (c *Client) introduce(name string) error {
	c.hello = name
	if name == "" {
		c.hello, _ = os.Hostname()
		if !helloName(c.hello) {
			c.hello = "localhost"
		}
	}
	if !helloName(c.hello) {
		return fmt.Errorf("hello %q is neither a domain name nor an address in brackets", name)
	}
	return nil
}

func helloName(s string) bool {
	if literal, ok := strings.CutPrefix(s, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		_, err := netip.ParseAddr(strings.TrimPrefix(literal, "IPv6:"))
		return ok && err == nil
	}
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// dial opens the transport. With TLS off it makes sure that the name of this
// machine led to this machine.
func (c *Client) dial(ctx context.Context) (*conn, *failure) {
	d := net.Dialer{Timeout: c.commandTimeout}
	raw, err := d.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, fail(ctx, stageConnect, err)
	}
	if c.security == off {
		addr, err := netip.ParseAddrPort(raw.RemoteAddr().String())
		if err != nil || !addr.Addr().Unmap().IsLoopback() {
			raw.Close()
			return nil, misconfigured(stageConnect, causeElsewhere)
		}
	}
	return newConn(raw, c.commandTimeout), nil
}

// handshake starts TLS on a connection.
func (c *Client) handshake(ctx context.Context, s *session) (*tls.Conn, *failure) {
	s.conn.expect()
	cfg := c.tls
	if s.fresh {
		cfg = cfg.Clone()
		cfg.ClientSessionCache = nil
	}
	t := tls.Client(s.conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		// One that has expired was seen all the same, and whoever watches for
		// the day has to see that it has come.
		if cert := unverified(err); cert != nil && time.Now().After(cert.NotAfter) {
			c.noteCertificate(cert)
		}
		return nil, fail(ctx, stageTLS, err)
	}
	c.noteCertificate(t.ConnectionState().PeerCertificates[0])
	return t, nil
}

func (c *Client) noteCertificate(cert *x509.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expires = cert.NotAfter
}

// unverified returns the relay's certificate if err is that it is not valid.
func unverified(err error) *x509.Certificate {
	var invalid *tls.CertificateVerificationError
	if errors.As(err, &invalid) && len(invalid.UnverifiedCertificates) > 0 {
		return invalid.UnverifiedCertificates[0]
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
