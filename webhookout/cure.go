package webhookout

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"
)

// diagnose says why no answer came, and what to change: in the Caddyfile
// where that helps.
func (c *Client) diagnose(err error) (problem, cure string) {
	var (
		dns     *net.DNSError
		timeout net.Error
		invalid *tls.CertificateVerificationError
		where   = c.endpoint.url.Host
	)
	if c.endpoint.socket != "" {
		where = c.endpoint.socket
	}
	switch {
	case errors.Is(err, errBusy):
		return "all connections to the app were busy the whole time", "try again; see why the app takes so long to answer"
	case errors.Is(err, errTooFar) && c.endpoint.clear:
		return err.Error(), "write the URL of the hook with https://"
	case errors.Is(err, errTooFar):
		return err.Error(), "write the URL of the hook with https://, or `insecure_http` in its block if it is on a private network that you trust"
	case errors.As(err, &invalid):
		return c.diagnoseCertificate(invalid)
	case errors.Is(err, errNotTLS):
		return "the app does not speak TLS at " + where, "correct the port, or write http:// if the app is on this machine"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "there is no host of the name " + c.endpoint.url.Hostname(), "correct the name in the URL, or make it known to the resolver of this machine"
	case errors.As(err, &dns):
		return "the name " + c.endpoint.url.Hostname() + " could not be looked up", "see that the resolver of this machine answers (/etc/resolv.conf)"
	case errors.Is(err, fs.ErrNotExist):
		return "there is no socket " + where, "start the app, or correct the path behind unix/"
	case errors.Is(err, fs.ErrPermission):
		return "Caddy may not use the socket " + where, "let Caddy's user write to it, as by a group of both"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at " + where, "start the app, or correct host and port of the URL"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer from %s within %s", where, c.timeout),
			"see whether the app hangs or a firewall is between; raise `timeout` in the block of the webhook only if it is slow by nature"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return where + " cannot be reached", "let this machine through to it (firewall, routing)"
	}
	return err.Error(), "see the app's log; if its port speaks TLS, write https://"
}

func (c *Client) diagnoseCertificate(err *tls.CertificateVerificationError) (problem, cure string) {
	var (
		host    = c.endpoint.url.Hostname()
		cert    = err.UnverifiedCertificates[0]
		foreign x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &name):
		names := certified(cert)
		if len(names) == 0 {
			return "the app's certificate is for no host", "give the app one for " + host
		}
		return fmt.Sprintf("the app's certificate is for %s, not for %s", strings.Join(names, ", "), host),
			"write a name that it is for in the URL, or give the app a certificate for " + host
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if invalid.Cert != nil {
			cert = invalid.Cert // or that of an authority behind it
		}
		if now := time.Now(); now.Before(cert.NotBefore) {
			return "the app's certificate is not valid before " + cert.NotBefore.UTC().Format(time.DateTime),
				"set the clock of this machine if it is slow; otherwise wait, or give the app another certificate"
		}
		return "the app's certificate, or that of its authority, has expired on " + cert.NotAfter.UTC().Format(time.DateOnly),
			"renew it at the app, and have the app read the new one"
	case errors.As(err, &foreign) && bytes.Equal(cert.RawIssuer, cert.RawSubject):
		return "the app's certificate is signed by itself", "save it on this machine and write `trusted_ca FILE` in the block of the webhook"
	case errors.As(err, &foreign) && c.transport.TLSClientConfig.RootCAs != nil:
		return "the app's certificate is signed by none of the authorities in `trusted_ca`",
			"put the certificate of the authority that signed it into that file, or take `trusted_ca` away if it is a public one"
	case errors.As(err, &foreign):
		return "the app's certificate is signed by an authority that this machine does not know",
			"if it is your own, write `trusted_ca FILE` in the block of the webhook; if it is a public one, have the app send the certificates between its own and that authority's, too"
	}
	return "the app's certificate is not fit for a server", "give the app another certificate"
}

// certified lists what a certificate is for, as far as it can be a host: the
// rest is text that its owner chose freely.
func certified(cert *x509.Certificate) []string {
	var names []string
	for _, name := range cert.DNSNames {
		odd := func(r rune) bool {
			return r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}
		if !strings.ContainsFunc(strings.TrimPrefix(name, "*."), odd) && len(name) <= 255 {
			names = append(names, name)
		}
	}
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names[:min(len(names), 3)]
}
