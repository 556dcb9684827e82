package smtpout

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"
)

// diagnose says what is wrong at a step, and what to change: in the Caddyfile
// where that helps. The session is nil if there was no connection.
func (c *Client) diagnose(step string, f *failure, s *session) (problem, cure string) {
	if errors.Is(f.err, errEarly) {
		return "an answer came before its question: somebody between here and the relay may be putting words into the connection",
			"use implicit TLS, which leaves no room for that: `smtp " + c.at("465") + "`"
	}
	switch step {
	case StepName:
		return c.diagnoseName(f)
	case StepConnect:
		return c.diagnoseConnect(f)
	case StepGreeting:
		return c.diagnoseGreeting(f)
	case StepHello:
		return f.say("the relay does not accept the name " + c.hello + " from this machine"),
			"write `hello HOST` in the block of `smtp`, with a name in the DNS that leads to the address of this machine"
	case StepStartTLS:
		if f.cause == causeNoStartTLS {
			return "the relay does not offer STARTTLS at this port, and without TLS nothing is sent",
				fmt.Sprintf("switch TLS on at the relay, or use its port for submission: `smtp %s`, or `smtp %s` for implicit TLS", c.at("587"), c.at("465"))
		}
		return f.say("the relay offers STARTTLS and then refuses it"),
			"see the relay's log; often it cannot read its own certificate or key"
	case StepTLS:
		return c.diagnoseTLS(f)
	case StepCertificate:
		return c.diagnoseCertificate(f.err)
	case StepAuth:
		return c.diagnoseAuth(f, s)
	}
	return c.diagnoseSender(f)
}

// say adds what came to a problem: the numbers of an answer, or our own words.
func (f *failure) say(problem string) string {
	_, what, _ := strings.Cut(strings.TrimPrefix(f.Error(), "smtp: "), ": ")
	return problem + " (" + what + ")"
}

// at returns the address of the relay at another port.
func (c *Client) at(port string) string { return net.JoinHostPort(c.host, port) }

func (c *Client) diagnoseName(f *failure) (problem, cure string) {
	if dns := (*net.DNSError)(nil); errors.As(f.err, &dns) && dns.IsNotFound {
		return "there is no host of the name " + c.host,
			"correct the name in `smtp " + c.address + "`, or make it known to the resolver of this machine"
	}
	return f.say("the name " + c.host + " could not be looked up"),
		"see that the resolver of this machine answers (/etc/resolv.conf)"
}

func (c *Client) diagnoseConnect(f *failure) (problem, cure string) {
	switch {
	case f.cause == causeElsewhere:
		return c.host + " is another machine, and TLS is off",
			"write `tls starttls` in the block of `smtp`, or `smtp 127.0.0.1:PORT` for a relay on this machine"
	case errors.Is(f.err, syscall.ECONNREFUSED):
		return "nothing listens at " + c.address,
			"start the relay, or correct the port in `smtp " + c.address + "`: usually 587, 465 for implicit TLS, 25 for a relay of your own"
	case f.cause == causeTimeout, errors.Is(f.err, syscall.EHOSTUNREACH), errors.Is(f.err, syscall.ENETUNREACH):
		return f.say(c.address + " cannot be reached"),
			"let this machine through to it (firewall, routing); where port 25 is blocked, as many providers do, use 587 or 465"
	}
	return f.say("no connection to " + c.address), "correct `smtp " + c.address + "`, or see the relay's log"
}

func (c *Client) diagnoseGreeting(f *failure) (problem, cure string) {
	const begins = "if the port begins with TLS, as 465 does, write `tls implicit` in the block of `smtp`"
	switch {
	case f.code >= 500:
		return f.say("the relay does not want to talk to this machine"),
			"have the relay allow the address of this machine, or use its port for submission: `smtp " + c.at("587") + "`"
	case f.code != 0:
		return f.say("the relay turns this connection away for now"),
			"see the relay's log; if it counts connections, lower `connections` in the block of `smtp`"
	case c.security == implicit:
		return f.say("what listens at " + c.address + " speaks TLS, but not SMTP"),
			"correct the port in `smtp " + c.address + "`: usually 465 for implicit TLS"
	case f.cause == causeTimeout:
		return "the relay takes the connection and says nothing", begins + "; otherwise see the relay's log"
	case transport(f.err):
		return f.say("the relay takes the connection and ends it without a word"),
			"have the relay allow the address of this machine; " + begins
	}
	return "what listens at " + c.address + " does not speak SMTP",
		"correct the port in `smtp " + c.address + "`; " + begins
}

func (c *Client) diagnoseTLS(f *failure) (problem, cure string) {
	var record tls.RecordHeaderError
	switch {
	case errors.As(f.err, &record) && c.security == implicit,
		f.cause == causeTimeout && c.security == implicit:
		return "the relay does not begin with TLS at this port",
			"write `tls starttls` in the block of `smtp`, or use the port for implicit TLS: `smtp " + c.at("465") + "`"
	case f.err != nil && strings.Contains(f.err.Error(), "protocol version"):
		return "the relay speaks no TLS newer than 1.1, which is broken",
			"update the relay, or switch TLS 1.2 on there"
	}
	return f.say("the relay and this machine do not agree on TLS"), "see the relay's log"
}

func (c *Client) diagnoseCertificate(err error) (problem, cure string) {
	var (
		cert    = unverified(err)
		foreign x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &name):
		names := certified(cert)
		if len(names) == 0 {
			return "the relay's certificate is for no host", "give the relay one for " + c.host
		}
		_, port, _ := net.SplitHostPort(c.address)
		return fmt.Sprintf("the relay's certificate is for %s, not for %s", strings.Join(names, ", "), c.host),
			fmt.Sprintf("write `smtp HOST:%s` with a name that it is for, or give the relay a certificate for %s", port, c.host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		whose := "the relay's certificate"
		if invalid.Cert != nil && !invalid.Cert.Equal(cert) {
			whose, cert = "the certificate of the authority behind the relay's", invalid.Cert
		}
		if now := time.Now(); now.Before(cert.NotBefore) {
			return fmt.Sprintf("%s is not valid before %s", whose, cert.NotBefore.UTC().Format(time.DateTime)),
				"set the clock of this machine if it is slow; otherwise wait, or give the relay another certificate"
		}
		return fmt.Sprintf("%s has expired on %s", whose, cert.NotAfter.UTC().Format(time.DateOnly)),
			"renew it at the relay, and have the relay read the new one"
	case errors.As(err, &foreign) && bytes.Equal(cert.RawIssuer, cert.RawSubject):
		return "the relay's certificate is signed by itself",
			"save it on this machine and write `trusted_ca FILE` in the block of `smtp`"
	case errors.As(err, &foreign) && c.tls.RootCAs != nil:
		return "the relay's certificate is signed by none of the authorities in `trusted_ca`",
			"put the certificate of the authority that signed it into that file, or take `trusted_ca` away if it is a public one"
	case errors.As(err, &foreign):
		return "the relay's certificate is signed by an authority that this machine does not know",
			"if it is your own, write `trusted_ca FILE` in the block of `smtp`; if it is a public one, have the relay send the certificates between its own and that authority's, too"
	}
	return "the relay's certificate is not fit for a mail server", "give the relay another certificate"
}

func (c *Client) diagnoseAuth(f *failure, s *session) (problem, cure string) {
	switch {
	case f.cause == causeNoMechanism:
		return c.diagnoseMechanism(s.client)
	case f.cause == causeNoSecret:
		return "the secret of `auth` could not be read",
			"let Caddy read the file, or set the variable, that `auth` names"
	case f.cause == causeOddSecret:
		return "the secret of `auth` is empty or has a control character", "put the secret alone on the one line of its file"
	case f.code >= 500:
		cure = "correct user and secret in `auth USER SECRET`; some providers want a password for apps instead of one's own"
		if c.mechanism == xoauth2 || c.mechanism == oauthbearer {
			cure = "correct the user in `auth USER SECRET`, and renew the access token: most last an hour, so keep it in a file that is renewed, as {file./path}"
		}
		return f.say("the relay refuses the login"), cure
	case f.code != 0:
		return f.say("the relay cannot judge the login for now"), "try again later; if it stays so, see the relay's log"
	}
	return f.say("the login failed"), "see the relay's log, or name another `mechanism` in the block of `smtp`"
}

// diagnoseMechanism says what login a relay does offer.
func (c *Client) diagnoseMechanism(relay *smtp.Client) (problem, cure string) {
	var offered []string
	for _, m := range []string{plain, login, xoauth2, oauthbearer} {
		if relay.SupportsAuth(asciiUpper(m)) {
			offered = append(offered, m)
		}
	}
	if ok, _ := relay.Extension("AUTH"); !ok {
		return "the relay offers no login at this port",
			fmt.Sprintf("use its port for submission, `smtp %s` or `smtp %s`; or take `auth` away if it wants no login", c.at("587"), c.at("465"))
	}
	switch {
	case len(offered) == 0:
		return "the relay offers no mechanism of login that we speak",
			"switch PLAIN on at the relay, which is safe under TLS"
	case offered[0] == plain || offered[0] == login:
		return "the relay does not offer the mechanism " + c.mechanism,
			"write `mechanism " + offered[0] + "` in the block of `smtp`, or take `mechanism` away; with it the secret is a password"
	}
	return "the relay takes access tokens only, and no password",
		"write `mechanism " + offered[0] + "` in the block of `smtp`, and give an access token as the secret of `auth`"
}

func (c *Client) diagnoseSender(f *failure) (problem, cure string) {
	switch {
	case f.code == authRequired && c.security == off:
		return f.say("the relay wants TLS or a login first"),
			"write `tls starttls` in the block of `smtp`, and `auth USER SECRET` if it asks again"
	case f.code == authRequired && c.user == "":
		return f.say("the relay wants a login"), "write `auth USER SECRET` in the block of `smtp`"
	case f.code >= 500:
		return f.say("the relay does not take mails of the sender in `from`"),
			"write an address in `from` that the relay lets this login or machine use"
	case f.code != 0:
		return f.say("the relay does not take the sender in `from` for now"), "try again later; if it stays so, see the relay's log"
	}
	return f.say("the sender in `from` could not be tried"), "see that `from` holds a plain address, and the relay's log"
}
