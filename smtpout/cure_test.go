package smtpout_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

// TestProbeCures holds that each thing that can be wrong with a relay is told
// apart from the others, at its step and with what to change.
func TestProbeCures(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	secure := func(cfg *tls.Config) move {
		return func(c net.Conn, _ *bufio.Reader) bool { return tls.Server(c, cfg).Handshake() == nil }
	}
	issue := func(edit func(*x509.Certificate)) []move { return []move{secure(ca.issue(t, edit))} }
	old := ca.issue(t, nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	// Signed by itself: the template is its own parent.
	self := &authority{cert: &x509.Certificate{}, key: other.key}
	alone := self.issue(t, func(c *x509.Certificate) { self.cert = c })
	// Signed by an authority that has expired itself.
	late := newAuthority(t)
	late.cert.NotAfter = time.Now().Add(-time.Minute)
	der, err := x509.CreateCertificate(rand.Reader, late.cert, late.cert, &late.key.PublicKey, late.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(late.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	upgrade := []move{say("220 x"), hear, say("250-x\n250 STARTTLS"), hear}
	offers := func(mechanisms string) []move {
		return after(upgrade, say("220 go"), secured(ca.issue(t, nil), hear, say("250-x\n250 "+mechanisms), hang))
	}
	refuses := func(answer string) []move {
		return after(upgrade, say("220 go"), secured(ca.issue(t, nil), hear, say("250-x\n250 AUTH PLAIN"), hear, say(answer), hear, say("501 5.5.2 not now")))
	}
	junk := smtpout.Options{User: user, Secret: withSecret("a\nb")}
	unread := smtpout.Options{User: user, Secret: func() (string, error) { return "", errors.New("opening hunter2") }}
	with := func(mechanism string) smtpout.Options {
		return smtpout.Options{TLS: "starttls", User: user, Secret: withSecret(secret), Mechanism: mechanism}
	}
	var (
		inClear  = smtpout.Options{}
		starttls = smtpout.Options{TLS: "starttls"}
		implicit = smtpout.Options{TLS: "implicit"}
	)
	for _, tt := range []struct {
		name    string
		o       smtpout.Options
		moves   []move
		step    string
		problem string
		cure    string
	}{
		{"busy", inClear, []move{say("421 4.7.0 alice@example.org too many")}, "greeting", "turns this connection away for now (answer 421 4.7.0)", "lower `connections`"},
		{"not wanted", inClear, []move{say("554 5.7.1 no")}, "greeting", "does not want to talk to this machine (answer 554 5.7.1)", "have the relay allow"},
		{"HTTP", inClear, []move{say("HTTP/1.1 400 Bad Request")}, "greeting", "does not speak SMTP", "correct the port"},
		{"HTTPS", implicit, []move{secured(ca.issue(t, nil), say("HTTP/1.1 400 Bad Request"))}, "greeting", "speaks TLS, but not SMTP", "usually 465"},
		{"closes at once", inClear, nil, "greeting", "ends it without a word", "allow the address of this machine"},
		{"silent", starttls, []move{hang}, "greeting", "says nothing", "write `tls implicit`"},
		{"TLS port taken for STARTTLS", starttls, []move{func(c net.Conn, r *bufio.Reader) bool { return tls.Server(c, ca.issue(t, nil)).Handshake() == nil }}, "greeting", "says nothing", "write `tls implicit`"},
		{"injected", starttls, []move{say("220 x\n250 x"), hang}, "EHLO", "an answer came before its question", "implicit TLS"},
		{"name not liked", inClear, []move{say("220 x"), hear, say("550 5.7.1 who"), hang}, "EHLO", "does not accept the name sidecar.example.com", "write `hello HOST`"},
		{"no STARTTLS", starttls, []move{say("220 x"), hear, say("250 x"), hang}, "STARTTLS", "does not offer STARTTLS", "`smtp 127.0.0.1:465` for implicit"},
		{"STARTTLS refused", starttls, after(upgrade, say("454 4.7.0 no")), "STARTTLS", "then refuses it (answer 454 4.7.0)", "own certificate or key"},
		{"no TLS", implicit, []move{say("220 x"), hang}, "TLS", "does not begin with TLS", "write `tls starttls`"},
		{"slow and no TLS", implicit, []move{hang}, "TLS", "does not begin with TLS", "write `tls starttls`"},
		{"TLS 1.1", implicit, []move{secure(old)}, "TLS", "no TLS newer than 1.1", "TLS 1.2"},
		{"text instead of TLS", starttls, after(upgrade, say("220 go"), part(5), say("220 x"), hang), "TLS", "do not agree on TLS", "the relay's log"},
		{"unknown authority", implicit, []move{secure(other.issue(t, nil))}, "certificate", "none of the authorities in `trusted_ca`", "take `trusted_ca` away"},
		{"unknown to the system", smtpout.Options{TLS: "implicit", TrustedCA: "none"}, []move{secure(other.issue(t, nil))}, "certificate", "an authority that this machine does not know", "write `trusted_ca FILE`"},
		{"signed by itself", implicit, []move{secure(alone)}, "certificate", "signed by itself", "write `trusted_ca FILE`"},
		{"another name", implicit, issue(func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"evil\x1b.test", "*.example.com", "mail.example.com"}
		}), "certificate", "is for *.example.com, mail.example.com, not for 127.0.0.1", "write `smtp HOST:"},
		{"no name", implicit, issue(func(c *x509.Certificate) { c.IPAddresses = nil }), "certificate", "for no host", "give the relay one for 127.0.0.1"},
		{"expired", implicit, issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "certificate", "the relay's certificate has expired on", "renew it"},
		{"authority expired", smtpout.Options{TLS: "implicit", TrustedCA: late.file}, []move{secure(late.issue(t, nil))}, "certificate", "the certificate of the authority behind the relay's has expired on", "renew it"},
		{"not yet valid", implicit, issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(30 * time.Minute) }), "certificate", "not valid before", "the clock of this machine"},
		{"for clients", implicit, issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "certificate", "not fit", "another certificate"},
		{"wrong secret", with(""), refuses("535 5.7.8 " + user), "AUTH", "refuses the login (answer 535 5.7.8)", "correct user and secret in `auth"},
		{"stale token", with("xoauth2"), after(upgrade, say("220 go"), secured(ca.issue(t, nil), hear, say("250-x\n250 AUTH XOAUTH2"), hear, say("535 5.7.8 no"), hear, say("501 5.5.2 not now"))), "AUTH", "refuses the login", "renew the access token"},
		{"not now", with(""), refuses("454 4.7.0 later"), "AUTH", "cannot judge the login for now", "later"},
		{"no login", with(""), offers("HELP"), "AUTH", "offers no login at this port", "take `auth` away"},
		{"other mechanisms", with(""), offers("AUTH CRAM-MD5 GSSAPI"), "AUTH", "no mechanism of login that we speak", "PLAIN"},
		{"tokens only", with(""), offers("AUTH XOAUTH2"), "AUTH", "takes access tokens only", "write `mechanism xoauth2`"},
		{"another mechanism", with("oauthbearer"), offers("AUTH LOGIN"), "AUTH", "does not offer the mechanism oauthbearer", "write `mechanism login`"},
		{"odd secret", junk, offers("AUTH PLAIN"), "AUTH", "empty or has a control character", "alone on the one line"},
		{"unread secret", unread, offers("AUTH PLAIN"), "AUTH", "could not be read", "let Caddy read the file"},
		{"login ends the connection", with(""), after(upgrade, say("220 go"), secured(ca.issue(t, nil), hear, say("250-x\n250 AUTH PLAIN"), hear)), "AUTH", "the login failed (connection lost)", "another `mechanism`"},
		{"sender not allowed", inClear, after(mail, say("550 5.7.1 <support@example.com>"), hang), "sender", "does not take mails of the sender in `from` (answer 550 5.7.1)", "lets this login or machine use"},
		{"login wanted, no TLS", inClear, after(mail, say("530 5.7.0 first"), hang), "sender", "wants TLS or a login", "write `tls starttls`"},
		{"login wanted", starttls, after(upgrade, say("220 go"), secured(ca.issue(t, nil), hear, say("250 x"), hear, say("530 5.7.0 first"), hang)), "sender", "wants a login", "write `auth USER SECRET`"},
		{"sender not now", inClear, after(mail, say("451 4.7.1 later"), hang), "sender", "for now (answer 451 4.7.1)", "later"},
		{"gone at the sender", inClear, mail, "sender", "could not be tried (connection lost)", "log"},
		{"does not take it back", inClear, after(mail, say("250 ok"), hear, say("451 4.3.0 no"), hang), "sender", "for now", "later"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, heard := script(t, tt.moves...)
			o := tt.o
			o.Address, o.Hello = address, "sidecar.example.com"
			if o.TrustedCA == "none" {
				o.TrustedCA = ""
			} else if o.TrustedCA == "" && (o.TLS != "" || o.User != "") {
				o.TrustedCA = ca.file
			}
			c := newClient(t, o)
			if strings.Contains(tt.name, "silent") || strings.Contains(tt.name, "slow") || strings.Contains(tt.name, "taken") {
				c.SetTimeouts(100*time.Millisecond, 0)
			}
			found := c.Probe(t.Context(), sender)
			last := found[len(found)-1]
			if last.Step != tt.step || !last.Broken || !strings.Contains(last.Problem, tt.problem) || !strings.Contains(last.Cure, tt.cure) {
				t.Errorf("%+v\nwant %s, %q, %q", found, tt.step, tt.problem, tt.cure)
			}
			way := []string{"connect", "greeting", "EHLO", "STARTTLS", "TLS", "certificate", "AUTH", "sender"}
			switch {
			case o.TLS == "implicit":
				way = []string{"connect", "TLS", "certificate", "greeting"}
			case o.TLS == "" && o.User == "":
				way = []string{"connect", "greeting", "EHLO", "sender"}
			case o.User == "":
				way = slices.Delete(way, 6, 7)
			}
			for i, f := range found {
				if i >= len(way) || f.Step != way[i] {
					t.Fatalf("%+v\nwant the steps %q", found, way)
				}
			}
			for _, f := range found[:len(found)-1] {
				if f.Broken || f.Problem != "" {
					t.Errorf("a step before it: %+v", f)
				}
			}
			for _, private := range []string{"alice", user, "hunter2", secret, sender, "evil", "\x1b"} {
				if strings.Contains(last.Problem+last.Cure, private) {
					t.Errorf("it quotes %q: %+v", private, last)
				}
			}
			if strings.Contains(heard.String(), secret) {
				t.Error("the secret crossed in clear")
			}
		})
	}
}

// TestProbeResolver asks a resolver of its own, as what that of a machine says
// of an unknown name depends on its network.
func TestProbeResolver(t *testing.T) {
	before := net.DefaultResolver
	defer func() { net.DefaultResolver = before }()
	for _, tt := range []struct {
		code    dnsmessage.RCode
		problem string
		cure    string
	}{
		{dnsmessage.RCodeNameError, "there is no host of the name relay.test", "correct the name in `smtp relay.test:587`"},
		{dnsmessage.RCodeServerFailure, "could not be looked up", "/etc/resolv.conf"},
	} {
		net.DefaultResolver = resolver(tt.code, nil)
		found := newClient(t, smtpout.Options{Address: "relay.test:587"}).Probe(t.Context(), sender)
		if len(found) != 1 || found[0].Step != "name" || !found[0].Broken || !strings.Contains(found[0].Problem, tt.problem) || !strings.Contains(found[0].Cure, tt.cure) {
			t.Errorf("%+v", found)
		}
	}

	ca := newAuthority(t)
	r := newRelay(t, relayOptions{tls: ca.issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"relay.test"} })})
	_, port, _ := net.SplitHostPort(r.address)
	net.DefaultResolver = resolver(dnsmessage.RCodeSuccess, &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}})
	for hello, problem := range map[string]string{"sidecar.example.com": "", "localhost": "calls itself localhost"} {
		found := newClient(t, smtpout.Options{Address: "relay.test:" + port, TrustedCA: ca.file, Hello: hello}).Probe(t.Context(), sender)
		if len(found) != 8 || found[0] != (smtpout.Finding{Step: "name"}) || found[3].Step != "EHLO" || found[3].Broken ||
			!strings.Contains(found[3].Problem, problem) || (problem == "") != (found[3].Problem == "") || (problem == "") != (found[3].Cure == "") {
			t.Errorf("as %s: %+v", hello, found)
		}
	}
}

// TestProbeUnconnected holds what is said of faults that no machine has on
// demand.
func TestProbeUnconnected(t *testing.T) {
	c := newClient(t, smtpout.Options{Address: "127.0.0.1:25"})
	for err, want := range map[error]struct{ problem, cure string }{
		os.NewSyscallError("connect", syscall.EHOSTUNREACH): {"127.0.0.1:25 cannot be reached (no route to host)", "firewall"},
		os.NewSyscallError("connect", syscall.ENETUNREACH):  {"cannot be reached (network is unreachable)", "firewall"},
		os.NewSyscallError("connect", syscall.ETIMEDOUT):    {"cannot be reached (timed out)", "use 587 or 465"},
		os.NewSyscallError("connect", syscall.EACCES):       {"no connection to 127.0.0.1:25 (permission denied)", "correct `smtp 127.0.0.1:25`"},
		nil: {"is another machine, and TLS is off", "write `tls starttls`"},
	} {
		problem, cure := c.Unconnected(t.Context(), err)
		if !strings.Contains(problem, want.problem) || !strings.Contains(cure, want.cure) {
			t.Errorf("%v: %q, %q", err, problem, cure)
		}
	}
}

// resolver answers every question with a code, and those for an IPv4 address
// with that if there is one.
func resolver(code dnsmessage.RCode, address *dnsmessage.AResource) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe() // no packets, so as over TCP
		go func() {
			defer far.Close()
			buf := make([]byte, 1500)
			n, err := far.Read(buf)
			var m dnsmessage.Message
			if err != nil || n < 2 || m.Unpack(buf[2:n]) != nil {
				return
			}
			reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RCode: code}, Questions: m.Questions}
			if q := m.Questions[0]; address != nil && q.Type == dnsmessage.TypeA {
				reply.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: address}}
			}
			packed, err := reply.AppendPack([]byte{0, 0})
			if err == nil {
				packed[0], packed[1] = byte((len(packed)-2)>>8), byte(len(packed)-2)
				_, _ = far.Write(packed)
			}
		}()
		return near, nil
	}}
}
