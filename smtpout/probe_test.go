package smtpout_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

const sender = "support@example.com"

func withSecret(s string) func() (string, error) { return func() (string, error) { return s, nil } }

func TestProbe(t *testing.T) {
	ca := newAuthority(t)
	day := time.Now().Add(time.Hour).UTC().Format(time.DateOnly)
	for _, tt := range []struct {
		name  string
		relay relayOptions
		tls   string
		user  string
		from  string
		want  []string // steps with what was seen
	}{
		{"in clear on this machine", relayOptions{}, "", "", sender, []string{"connect ADDRESS", "greeting ", "EHLO as sidecar.example.com", "sender accepted"}},
		{"STARTTLS and a login", relayOptions{tls: ca.issue(t, nil), mechanisms: []string{"LOGIN"}}, "starttls", user, sender, []string{
			"connect ADDRESS", "greeting ", "EHLO as sidecar.example.com", "STARTTLS ", "TLS TLS 1.3", "certificate valid until " + day + ", 0 days", "AUTH login", "sender accepted",
		}},
		{"implicit TLS, no sender", relayOptions{tls: ca.issue(t, nil), implicit: true}, "implicit", "", "", []string{
			"connect ADDRESS", "TLS TLS 1.3", "certificate valid until", "greeting ", "EHLO as sidecar.example.com",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRelay(t, tt.relay)
			o := smtpout.Options{Address: r.address, TLS: tt.tls, Hello: "sidecar.example.com", User: tt.user}
			if tt.tls != "" {
				o.TrustedCA = ca.file
			}
			if tt.user != "" {
				o.Secret = withSecret(secret)
			}
			o.Connections = 1
			c := newClient(t, o)
			found := c.Probe(t.Context(), tt.from)
			if len(found) != len(tt.want) {
				t.Fatalf("%+v", found)
			}
			for i, f := range found {
				if got, want := f.Step+" "+f.Seen, strings.ReplaceAll(tt.want[i], "ADDRESS", r.address); !strings.HasPrefix(got, want) || f.Broken || f.Problem+f.Cure != "" {
					t.Errorf("%+v, want %q", f, want)
				}
			}
			if len(r.got()) != 0 {
				t.Error("a mail has left")
			}
			until(t, "closing", func() bool { _, open, _ := r.connections(); return open == 0 })
			if wire := r.sent(); tt.tls == "" && !strings.HasSuffix(wire, "MAIL FROM:<support@example.com> BODY=8BITMIME\r\nRSET\r\nQUIT\r\n") {
				t.Errorf("the wire ends in %q", wire)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if d := c.Send(ctx, message()); d.Status != reset.Sent {
				t.Errorf("a mail after it: %+v", d)
			}
		})
	}
}

// TestProbeOfNothing holds what is said of a relay that cannot be connected to.
func TestProbeOfNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	found := newClient(t, smtpout.Options{Address: l.Addr().String()}).Probe(t.Context(), sender)
	want := []smtpout.Finding{{
		Step: "connect", Broken: true, Problem: "nothing listens at " + l.Addr().String(),
		Cure: "start the relay, or correct the port in `smtp " + l.Addr().String() + "`: usually 587, 465 for implicit TLS, 25 for a relay of your own",
	}}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}

	r := newRelay(t, relayOptions{})
	r.hold = make(chan struct{})
	busy := newClient(t, smtpout.Options{Address: r.address, Connections: 1})
	sent := make(chan struct{})
	go func() { defer close(sent); busy.Send(t.Context(), message()) }()
	until(t, "a mail under way", func() bool { return len(r.got()) == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	found = busy.Probe(ctx, sender)
	if len(found) != 1 || !found[0].Broken || !strings.Contains(found[0].Problem, "busy") || !strings.Contains(found[0].Cure, "`connections`") {
		t.Errorf("%+v", found)
	}
	close(r.hold)
	<-sent
}

// TestProbeDeadline holds that a relay cannot keep a probe beyond its context.
func TestProbeDeadline(t *testing.T) {
	address, _ := script(t, say("220 x"), hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	found := newClient(t, smtpout.Options{Address: address}).Probe(ctx, sender)
	if last := found[len(found)-1]; time.Since(began) > 5*time.Second || last.Step != "EHLO" || !strings.Contains(last.Problem, "timed out") {
		t.Errorf("%+v", found)
	}
}

// TestProbeAdvice holds what is said of a way that works and could be better.
func TestProbeAdvice(t *testing.T) {
	near := newClient(t, smtpout.Options{Address: newRelay(t, relayOptions{}).address, Hello: "localhost"})
	for _, f := range near.Probe(t.Context(), sender) {
		if f.Problem != "" {
			t.Errorf("localhost to a relay on this machine: %+v", f)
		}
	}

	now := time.Now()
	ca := newAuthority(t)
	for _, tt := range []struct {
		name         string
		lived, lives time.Duration
		advice       bool
	}{
		{"young", time.Hour, time.Hour, false},
		{"old", 4 * time.Hour, time.Hour, true},
		{"long, with weeks to go", 9000 * time.Hour, 15 * 24 * time.Hour, false},
		{"long, with days to go", 9000 * time.Hour, 13 * 24 * time.Hour, true},
	} {
		r := newRelay(t, relayOptions{implicit: true, tls: ca.issue(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.Add(-tt.lived), now.Add(tt.lives)
		})})
		found := newClient(t, smtpout.Options{Address: r.address, TLS: "implicit", TrustedCA: ca.file}).Probe(t.Context(), sender)
		for _, f := range found {
			advice := f.Step == "certificate" && tt.advice
			if f.Broken || (f.Problem != "") != advice || (f.Cure != "") != advice {
				t.Errorf("%s: %+v", tt.name, f)
			}
		}
	}
}

// TestCertificateExpires holds that it is known from every connection with TLS,
// also from one that failed as the certificate had expired.
func TestCertificateExpires(t *testing.T) {
	ca := newAuthority(t)
	end := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	var now atomic.Pointer[tls.Certificate]
	renew := func() {
		cfg := ca.issue(t, func(c *x509.Certificate) { c.NotAfter = end })
		now.Store(&cfg.Certificates[0])
	}
	renew()
	r := newRelay(t, relayOptions{tls: &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return now.Load(), nil }}})
	c := newClient(t, smtpout.Options{Address: r.address, TLS: "starttls", TrustedCA: ca.file})
	if got := c.CertificateExpires(); !got.IsZero() {
		t.Errorf("before the first connection: %s", got)
	}
	c.Send(t.Context(), message())
	if got := c.CertificateExpires(); !got.Equal(end) {
		t.Errorf("%s, want %s", got, end)
	}

	// A probe sees the one of today, and does not resume what mails resume.
	r.cut()
	end = end.Add(-time.Minute)
	renew()
	c.Probe(t.Context(), "")
	if got := c.CertificateExpires(); !got.Equal(end) {
		t.Errorf("after it was renewed: %s, want %s", got, end)
	}

	for _, expired := range []bool{true, false} {
		end := time.Now().Add(-time.Minute).Truncate(time.Second).UTC()
		cfg := ca.issue(t, func(c *x509.Certificate) {
			if c.NotAfter, c.IPAddresses = end, nil; !expired {
				c.NotAfter = time.Now().Add(time.Hour)
			}
		})
		address, _ := script(t, func(c net.Conn, _ *bufio.Reader) bool { return tls.Server(c, cfg).Handshake() == nil })
		c := newClient(t, smtpout.Options{Address: address, TLS: "implicit", TrustedCA: ca.file})
		c.Send(t.Context(), message())
		if got := c.CertificateExpires(); expired && !got.Equal(end) || !expired && !got.IsZero() {
			t.Errorf("not valid, expired %v: %s", expired, got)
		}
	}
}
