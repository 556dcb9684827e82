package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// A relayRow is one way in which a relay misbehaves, and what is to become of
// the mail.
type relayRow struct {
	name  string
	tls   string // "", "starttls" or "implicit", as the site is set up
	at    stage
	do    misdeed
	slow  bool // the usual answer follows what it does
	keeps bool // the relay has taken the mail all the same

	fate  string // logSent, logRetried, logAlarmed, logUnwanted or logEnded
	cause string // in the log
}

func (r relayRow) String() string { return r.name }

// refusals are those that RFC 5321 knows, at every stage. One for the
// time being (4xx) is tried again; one for good is about the recipient at RCPT,
// or if its enhanced code says so (RFC 3463), about the mail after the dot, and
// elsewhere the operator's.
func refusals() (rows []relayRow) {
	for _, at := range []stage{atGreeting, atHello, atStartTLS, atAuth, atMail, atRcpt, atData, atDot} {
		for _, n := range []int{421, 450, 451, 452, 535, 550, 552, 554} {
			row := relayRow{name: fmt.Sprintf("%s %d", at, n), at: at, fate: logAlarmed}
			enhanced := fmt.Sprintf("%d.7.1", n/100)
			switch {
			case n < 500:
				row.fate = logRetried
			case at == atRcpt:
				row.fate = logEnded
			case at == atDot:
				row.fate = logUnwanted
			}
			if at == atStartTLS || at == atAuth {
				row.tls = "starttls"
			}
			row.cause = fmt.Sprintf("%s: answer %d %s", at, n, enhanced)
			row.do = code(n, enhanced)
			rows = append(rows, row)
		}
	}
	return append(rows,
		relayRow{name: "unknown user at the dot", at: atDot, do: code(550, "5.1.1"), fate: logEnded, cause: "answer 550 5.1.1"},
		relayRow{name: "full mailbox at the dot", at: atDot, do: code(552, "5.2.2"), fate: logEnded, cause: "answer 552 5.2.2"},
		relayRow{name: "login wanted at RCPT", at: atRcpt, do: code(530, "5.7.0"), fate: logAlarmed, cause: "answer 530 5.7.0"},
		relayRow{name: "STARTTLS not for now", tls: "starttls", at: atStartTLS, do: code(454, "4.7.0"), fate: logRetried, cause: "answer 454 4.7.0"},
	)
}

// silences are relays that take their time, or all of it.
func silences() []relayRow {
	return []relayRow{
		{name: "greets late", at: atGreeting, do: delaying(0.5), slow: true, fate: logSent},
		{name: "never greets", at: atGreeting, do: hang, fate: logRetried, cause: "greeting: timed out"},
		{name: "drips its greeting", at: atGreeting, do: dripping, fate: logRetried, cause: "greeting: "},
		{name: "no answer to EHLO", at: atHello, do: hang, fate: logRetried, cause: "EHLO: timed out"},
		{name: "no answer to AUTH", tls: "starttls", at: atAuth, do: hang, fate: logRetried, cause: "AUTH: timed out"},
		{name: "no answer to MAIL", at: atMail, do: hang, fate: logRetried, cause: "MAIL: timed out"},
		{name: "no answer to RCPT", at: atRcpt, do: hang, fate: logRetried, cause: "RCPT: timed out"},
		{name: "no answer to DATA", at: atData, do: hang, fate: logRetried, cause: "DATA: timed out"},
		{name: "tarpit", at: atAll, do: delaying(0.7), slow: true, fate: logRetried, cause: "timed out"},
		{name: "stops reading in DATA", at: atText, do: deaf, fate: logRetried, cause: "end of message: "},
		{name: "silent after the dot", at: atDot, do: hang, keeps: true, fate: logRetried, cause: "end of message: timed out"},
		{name: "handshake hangs", tls: "starttls", at: atHandshake, do: hang, fate: logAlarmed, cause: "TLS handshake: timed out"},
		{name: "silent on the TLS port", tls: "implicit", at: atHandshake, do: hang, fate: logAlarmed, cause: "TLS handshake: timed out"},
	}
}

// breaks are relays that hang up, or say what they should not.
func breaks() []relayRow {
	return []relayRow{
		{name: "gone at the greeting", at: atGreeting, do: gone, fate: logRetried, cause: "greeting: "},
		{name: "reset at the greeting", at: atGreeting, do: broken, fate: logRetried},
		{name: "half-closed after EHLO", at: atHello, do: halfClosed, fate: logRetried, cause: "EHLO: connection lost"},
		{name: "gone at RCPT", at: atRcpt, do: gone, fate: logRetried, cause: "RCPT: "},
		{name: "gone at DATA", at: atData, do: gone, fate: logRetried, cause: "DATA: "},
		{name: "gone in the message", at: atText, do: leaving, fate: logRetried, cause: ": "},
		{name: "gone after the dot", at: atDot, do: gone, keeps: true, fate: logRetried, cause: "end of message: "},
		{name: "reset after the dot", at: atDot, do: broken, keeps: true, fate: logRetried, cause: "end of message: "},
		{name: "nonsense after the dot", at: atDot, do: saying(foreignText), keeps: true, fate: logRetried, cause: "end of message: relay does not follow the protocol"},
		{name: "more text wanted after the dot", at: atDot, do: saying("354 more"), keeps: true, fate: logRetried, cause: "end of message: answer 354"},
		{name: "speaks HTTP", at: atGreeting, do: saying("HTTP/1.1 400 " + foreignText), fate: logRetried, cause: "greeting: relay does not follow the protocol"},
		{name: "three letters", at: atMail, do: saying("yes " + foreignText), fate: logRetried, cause: "MAIL: relay does not follow the protocol"},
		{name: "one digit", at: atRcpt, do: saying("2"), fate: logRetried, cause: "RCPT: relay does not follow the protocol"},
		{name: "250 to DATA", at: atData, do: saying("250 sure"), fate: logRetried, cause: "DATA: answer 250"},
		{name: "answers unasked", at: atGreeting, do: saying("220 x\n250 x\n250 x\n250 x\n354 x\n250 x"), fate: logAlarmed, cause: "relay answered before it was asked"},
		{name: "floods 220-", at: atGreeting, do: gushing("220-x\r\n"), fate: logRetried, cause: "relay sends too much"},
		{name: "floods 250- to EHLO", at: atHello, do: gushing("250-x\r\n"), fate: logRetried, cause: "relay sends too much"},
		{name: "floods 250- to RCPT", at: atRcpt, do: gushing("250-x\r\n"), fate: logRetried, cause: "relay sends too much"},
		{name: "floods inside TLS", tls: "starttls", at: atAuth, do: gushing("334-x\r\n"), fate: logRetried, cause: "relay sends too much"},
		{name: "floods after the dot", at: atDot, do: gushing("250-x\r\n"), keeps: true, fate: logRetried, cause: "relay sends too much"},
		{name: "line without end", at: atGreeting, do: gushing("2"), fate: logRetried, cause: "relay sends too much"},
		{name: "line without end to MAIL", at: atMail, do: gushing("2"), fate: logRetried, cause: "relay sends too much"},
		{name: "no extensions", at: atHello, do: saying("250 relay"), fate: logSent},
		{name: "small SIZE", at: atHello, do: saying("250-relay\n250 SIZE 100"), fate: logAlarmed, cause: "message is larger than the relay takes"},
	}
}

// disguises are relays whose TLS is not theirs, or none. Nothing may cross
// before it.
func (w *peerWorld) disguises(good tls.Certificate) []relayRow {
	w.t.Helper()
	with := func(c tls.Certificate, edit func(*tls.Config)) misdeed {
		config := &tls.Config{Certificates: []tls.Certificate{c}}
		if edit != nil {
			edit(config)
		}
		return offering(config)
	}
	otherName := issue(w.t, good, func(c *x509.Certificate) { c.DNSNames = []string{"relay.example.net"} })
	expired := issue(w.t, good, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	return []relayRow{
		{name: "TLS not offered", tls: "starttls", at: atHello, do: saying("250-relay\n250 AUTH PLAIN"), fate: logAlarmed, cause: "STARTTLS: relay does not offer it"},
		{name: "offer taken out on the way", tls: "starttls", at: atHello, do: saying("250-relay\n250-XXXXXXXX\n250 AUTH PLAIN"), fate: logAlarmed, cause: "STARTTLS: relay does not offer it"},
		{name: "answer injected before TLS", tls: "starttls", at: atStartTLS, do: injecting, fate: logAlarmed, cause: "relay answered before it was asked"},
		{name: "clear text after 220", tls: "starttls", at: atHandshake, do: func(d *dialogue) bool { return d.say("220 "+foreignText) && hang(d) }, fate: logAlarmed},
		{name: "clear text on the TLS port", tls: "implicit", at: atHandshake, do: func(d *dialogue) bool { return d.say("220 relay") && hang(d) }, fate: logAlarmed, cause: "does not speak TLS here"},
		{name: "certificate of another name", tls: "starttls", at: atHandshake, do: with(otherName, nil), fate: logAlarmed, cause: "certificate is for another name"},
		{name: "expired certificate", tls: "implicit", at: atHandshake, do: with(expired, nil), fate: logAlarmed, cause: "certificate has expired"},
		{name: "self-signed certificate", tls: "starttls", at: atHandshake, do: with(issue(w.t, tls.Certificate{}, nil), nil), fate: logAlarmed, cause: "signed by an unknown authority"},
		{name: "TLS 1.0 and 1.1 only", tls: "starttls", at: atHandshake, do: with(good, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), fate: logAlarmed, cause: "protocol version not supported"},
		{name: "gone in the handshake", tls: "starttls", at: atHandshake, do: gone, fate: logAlarmed, cause: "TLS handshake: "},
		{name: "no login after TLS", tls: "starttls", at: atHello, do: func(d *dialogue) bool {
			if !d.secure {
				return d.say("250-relay\n250-AUTH PLAIN\n250 STARTTLS")
			}
			return d.say("250-relay\n250 STARTTLS")
		}, fate: logAlarmed, cause: "no mechanism that may be used"},
		{name: "logins of its own only", tls: "starttls", at: atHello, do: func(d *dialogue) bool {
			return d.say("250-relay\n250-AUTH CRAM-MD5 XOAUTH2\n250 STARTTLS")
		}, fate: logAlarmed, cause: "no mechanism that may be used"},
		{name: "asks without end at the login", tls: "starttls", at: atAuth, do: challenging, fate: logAlarmed, cause: "does not follow the mechanism"},
	}
}

// challenging asks again and again.
func challenging(d *dialogue) bool {
	for d.say("334 eA==") {
		if line, err := d.in.ReadString('\n'); err != nil || strings.HasPrefix(line, "*") {
			return err == nil && d.say("501 5.7.0 ended")
		}
	}
	return false
}

// issue makes a certificate for localhost, signed by another one; by itself if
// that is none.
func issue(t testing.TB, by tls.Certificate, edit func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if edit != nil {
		edit(template)
	}
	parent, signer := template, any(key)
	if by.PrivateKey != nil {
		signer = by.PrivateKey
		if parent, err = x509.ParseCertificate(by.Certificate[0]); err != nil {
			t.Fatal(err)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
