package caddymodule_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/net/dns/dnsmessage"
)

// Each thing that is wrong with the mail server, and what to change.
func TestCheckMail(t *testing.T) {
	const mail = "mail server"
	w := newWay(t)
	plain := func(w *way) { w.smtpBlock = "" }
	certificate := func(edit func(*x509.Certificate)) func(*way) {
		return func(w *way) { w.relays(&relay{tls: w.ca.issue(w.t, edit)}) }
	}
	scripted := func(lines ...string) func(*way) {
		return func(w *way) { w.smtp, w.smtpBlock = says(w.t, lines...), "" }
	}
	day := 24 * time.Hour
	try(t, w, []misconfiguration{
		{"port closed", func(w *way) { w.smtp = closed(w.t) }, mail, "connect", true, "nothing listens at RELAY", "correct the port in `smtp RELAY`"},
		{
			"unknown authority", func(w *way) { w.smtpBlock = "tls starttls\n auth reset {env.RESET_SMTP_PASSWORD}" },
			mail, "certificate", true, "an authority that this machine does not know", "`trusted_ca FILE` in the block of `smtp`",
		},
		{
			"another authority", func(w *way) {
				w.smtpBlock = strings.Replace(w.smtpBlock, w.ca.file, newAuthority(w.t).file, 1)
			},
			mail, "certificate", true, "none of the authorities in `trusted_ca`", "into that file",
		},
		{"certificate expired", certificate(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), mail, "certificate", true, "has expired on " + time.Now().Add(-time.Minute).UTC().Format(time.DateOnly), "renew it at the relay"},
		{"certificate of tomorrow", certificate(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(day) }), mail, "certificate", true, "not valid before", "the clock of this machine"},
		{
			"certificate for another name", certificate(func(c *x509.Certificate) {
				c.IPAddresses, c.DNSNames = nil, []string{"mx.corner.internal"}
			}),
			mail, "certificate", true, "is for mx.corner.internal, not for 127.0.0.1", "write `smtp HOST:",
		},
		{
			"certificate with few days left", certificate(func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = time.Now().Add(-80*day), time.Now().Add(9*day+time.Hour)
			}),
			mail, "certificate", false, "ends in 9 days", "renew it at the relay",
		},
		{"no STARTTLS", func(w *way) { w.relays(&relay{}) }, mail, "STARTTLS", true, "does not offer STARTTLS", "`smtp 127.0.0.1:587`"},
		{
			"STARTTLS refused", func(w *way) {
				w.smtp = says(w.t, "220 relay", "250-relay\r\n250 STARTTLS", "454 4.7.0 no key")
			},
			mail, "STARTTLS", true, "then refuses it (answer 454", "see the relay's log",
		},
		{
			"STARTTLS at the port of implicit TLS", func(w *way) {
				w.relays(&relay{tls: w.ca.issue(w.t, nil), implicit: true})
				w.briefly()
			},
			mail, "greeting", true, "says nothing", "`tls implicit`",
		},
		{
			"implicit TLS at the port of STARTTLS", func(w *way) {
				w.smtpBlock = strings.Replace(w.smtpBlock, "starttls", "implicit", 1)
			},
			mail, "TLS", true, "does not begin with TLS", "`tls starttls`",
		},
		{"another password", func(w *way) { w.t.Setenv("RESET_SMTP_PASSWORD", "password1") }, mail, "AUTH", true, "refuses the login (answer 535", "correct user and secret in `auth USER SECRET`"},
		{"mechanism not offered", func(w *way) { w.smtpBlock += "\n mechanism xoauth2" }, mail, "AUTH", true, "does not offer the mechanism xoauth2", "`mechanism plain`"},
		{
			"access tokens only", func(w *way) { w.relays(&relay{tls: w.ca.issue(w.t, nil), mechanisms: []string{"XOAUTH2"}}) },
			mail, "AUTH", true, "takes access tokens only", "`mechanism xoauth2`",
		},
		{
			"no mechanism in common", func(w *way) { w.relays(&relay{tls: w.ca.issue(w.t, nil), mechanisms: []string{"CRAM-MD5"}}) },
			mail, "AUTH", true, "no mechanism of login that we speak", "switch PLAIN on",
		},
		{
			"no login offered", func(w *way) { w.relays(&relay{tls: w.ca.issue(w.t, nil), mechanisms: []string{}}) },
			mail, "AUTH", true, "offers no login at this port", "take `auth` away",
		},
		{
			"secret file gone", func(w *way) {
				file := w.path("smtp-secret")
				if err := os.WriteFile(file, []byte(smtpSecret), 0o600); err != nil {
					w.t.Fatal(err)
				}
				w.smtpBlock = strings.Replace(w.smtpBlock, "{env.RESET_SMTP_PASSWORD}", "{file."+file+"}", 1)
				w.load()
				if err := os.Remove(file); err != nil {
					w.t.Fatal(err)
				}
				w.loaded = true
			},
			mail, "AUTH", true, "secret of `auth` could not be read", "let Caddy read the file",
		},
		{
			"sender refused", func(w *way) {
				w.relays(&relay{tls: w.ca.issue(w.t, nil), mail: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "not yours"}})
			},
			mail, "sender", true, "does not take mails of the sender in `from` (answer 550 5.7.1)", "write an address in `from`",
		},
		{
			"sender refused for now", func(w *way) {
				w.relays(&relay{tls: w.ca.issue(w.t, nil), mail: &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "later"}})
			},
			mail, "sender", true, "for now (answer 451 4.7.1)", "try again later",
		},
		{
			"login wanted", func(w *way) {
				plain(w)
				w.relays(&relay{mail: &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "sign in"}})
			},
			mail, "sender", true, "wants TLS or a login first", "`auth USER SECRET`",
		},
		{"greeted with 421", scripted("421 4.3.2 too many"), mail, "greeting", true, "for now (answer 421 4.3.2)", "lower `connections`"},
		{"greeted with 554", scripted("554 5.7.1 not you"), mail, "greeting", true, "does not want to talk to this machine (answer 554 5.7.1)", "allow the address of this machine"},
		{"hung up on", scripted(""), mail, "greeting", true, "ends it without a word", "`tls implicit`"},
		{"no mail server", scripted("HTTP/1.1 400 Bad Request"), mail, "greeting", true, "does not speak SMTP", "correct the port in `smtp RELAY`"},
		{"name not accepted", scripted("220 relay", "550 5.7.1 who", "550 5.7.1 who"), mail, "EHLO", true, "does not accept the name", "`hello HOST`"},
		{"tarpit", func(w *way) { scripted()(w); w.briefly() }, mail, "greeting", true, "says nothing", "see the relay's log"},
		{"tarpit after EHLO", func(w *way) { scripted("220 relay", "250 relay")(w); w.briefly() }, mail, "sender", true, "could not be tried", "relay's log"},
		{"test mail to nobody", func(w *way) { w.to = "Ann <ann@corner.internal>" }, mail, "test mail", true, "--to is none that mail goes to", "write a plain address"},
		{
			"test mail refused", func(w *way) {
				w.relays(&relay{tls: w.ca.issue(w.t, nil), rcpt: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<ann@corner.internal> unknown"}})
				w.to = "ann@corner.internal"
			},
			mail, "test mail", true, "does not take it: smtp: RCPT: answer 550 5.1.1", "see that the address exists",
		},
	})
	w.relays(&relay{tls: selfSigned(t)})
	misconfiguration{"", nil, mail, "certificate", true, "signed by itself", "`trusted_ca FILE`"}.foundOnly(t, w, w.check())
}

// selfSigned has a certificate of no authority.
func selfSigned(t *testing.T) *tls.Config {
	a := newAuthority(t)
	c := &x509.Certificate{SerialNumber: a.cert.SerialNumber, Subject: a.cert.Subject, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{a.sign(t, c)}, PrivateKey: a.key}}}
}

// What the sender's domain could publish is advice, from a resolver of the test.
func TestCheckSender(t *testing.T) {
	const part = "sender's domain"
	w := newWay(t)
	changed := func(name string, record dnsmessage.ResourceBody) func(*way) {
		return func(w *way) {
			z := goodZone()
			if delete(z, name); record != nil {
				z[name] = record
			}
			w.horizon.DNS = z.resolver(w.t)
		}
	}
	text := func(s string) dnsmessage.ResourceBody { return &dnsmessage.TXTResource{TXT: []string{s}} }
	try(t, w, []misconfiguration{
		{"name for examples", func(w *way) { w.from = "support@mail.example.com" }, part, "name", false, "no mail comes from mail.example.com", "a domain of yours as `from`"},
		{"no mail there", changed("corner.internal. TypeMX", &dnsmessage.MXResource{MX: dnsmessage.MustNewName(".")}), part, "MX", false, "neither takes nor sends mail", "another domain in `from`"},
		{"no SPF", changed("corner.internal. TypeTXT", nil), part, "SPF", false, "no SPF record", "publish a TXT record at corner.internal"},
		{"SPF for everybody", changed("corner.internal. TypeTXT", text("v=spf1 +all")), part, "SPF", false, "lets every machine send", "~all"},
		{"no DMARC", changed("_dmarc.corner.internal. TypeTXT", nil), part, "DMARC", false, "no DMARC record", "_dmarc.corner.internal"},
		{"DMARC that watches", changed("_dmarc.corner.internal. TypeTXT", text("v=DMARC1; p=none")), part, "DMARC", false, "only watches", "p=quarantine"},
		{"selector of nobody", func(w *way) { w.selector = "s9" }, part, "DKIM", false, "no DKIM key at s9._domainkey.corner.internal", "correct the selector"},
	})
}
