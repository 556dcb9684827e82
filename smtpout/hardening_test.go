package smtpout_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

// TestSlow holds that an attempt ends at its deadline, and a command before.
func TestSlow(t *testing.T) {
	big := message()
	big.Data = bytes.Repeat([]byte("0123456789012345678901234567890123456789\r\n"), 150_000)
	for _, tt := range []struct {
		name  string
		moves []move
		m     reset.Message
		want  reset.DeliveryStatus
		err   string
	}{
		{"no greeting", []move{hang}, message(), reset.Unreachable, "greeting: timed out"},
		{"dripping greeting", []move{drip}, message(), reset.Unreachable, "greeting: "},
		{"no answer to EHLO", []move{say("220 x"), hang}, message(), reset.Unreachable, "EHLO: timed out"},
		{"dripping answer to EHLO", []move{say("220 x"), hear, drip}, message(), reset.Unreachable, "EHLO: "},
		{"no answer to MAIL", after(mail, hang), message(), reset.NotSent, "MAIL: timed out"},
		{"no answer to DATA", after(data, hang), message(), reset.NotSent, "DATA: timed out"},
		{"stops reading", after([]move{say("220 x"), hear, say("250 x"), hear}, say("250 x"), hear, say("250 x"), hear, say("354 go"), deaf), big, reset.NotSent, "DATA: timed out"},
		{"no answer to the dot", after(dot, hang), message(), reset.Unknown, "end of message: timed out"},
	} {
		for _, bound := range []string{"attempt", "command"} {
			t.Run(tt.name+", "+bound, func(t *testing.T) {
				t.Parallel()
				address, _ := script(t, tt.moves...)
				c := newClient(t, smtpout.Options{Address: address})
				attempt := time.Second
				if bound == "command" && tt.want != reset.Unknown { // the dot may take the whole attempt
					attempt = 10 * time.Second
					c.SetTimeouts(150*time.Millisecond, 0)
				}
				ctx, cancel := context.WithTimeout(t.Context(), attempt)
				defer cancel()
				start := time.Now()
				d := c.Send(ctx, tt.m)
				if d.Status != tt.want || !strings.HasPrefix(d.Err.Error(), "smtp: "+tt.err) {
					t.Errorf("%d, %v; want %d, %s", d.Status, d.Err, tt.want, tt.err)
				}
				if took := time.Since(start); took > 3*time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}

func TestCancel(t *testing.T) {
	for _, tt := range []struct {
		name  string
		moves []move
		want  reset.DeliveryStatus
		err   string
	}{
		{"greeting", []move{hang}, reset.NotSent, "greeting: cancelled"},
		{"RCPT", after(rcpt, hang), reset.NotSent, "RCPT: cancelled"},
		{"after the dot", after(dot, hang), reset.Unknown, "end of message: cancelled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := script(t, tt.moves...)
			c := newClient(t, smtpout.Options{Address: address})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			check(t, c.Send(ctx, message()), tt.want, tt.err)
		})
	}
}

// TestStaleAnswer holds that a kept connection which ends with a 421 costs no
// attempt, and that only the first command is given a second chance.
func TestStaleAnswer(t *testing.T) {
	taken := after(dot, say("250 2.0.0 ok"))
	pipelined := after(group, say("250 ok\n250 ok\n354 go"), take, say("250 2.0.0 ok"))
	for _, tt := range []struct {
		name  string
		first []move
		then  []move
		want  reset.DeliveryStatus
	}{
		{"421 to MAIL", taken, []move{hear, say("421 4.4.2 idle too long")}, reset.Sent},
		{"421 unasked", taken, []move{say("421 4.4.2 bye")}, reset.Sent},
		{"451 to MAIL", taken, []move{hear, say("451 4.3.0 no")}, reset.NotSent},
		{"gone at RCPT", taken, []move{hear, say("250 ok"), hear}, reset.NotSent},
		{"pipelined, gone", pipelined, nil, reset.Sent},
		{"pipelined, gone after it heard", pipelined, []move{hear, hear, hear}, reset.Sent},
		{"pipelined, 421", pipelined, []move{hear, hear, hear, say("421 4.4.2 idle too long")}, reset.Sent},
		{"pipelined, 421 unasked", pipelined, []move{say("421 4.4.2 bye")}, reset.Sent},
		{"pipelined, 451 to MAIL", pipelined, []move{hear, hear, hear, say("451 4.3.0 no\n503 5.5.1 no\n503 5.5.1 no")}, reset.NotSent},
		{"pipelined, gone at RCPT", pipelined, []move{hear, hear, hear, say("250 ok")}, reset.NotSent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := script(t, after(tt.first, tt.then...)...)
			c := newClient(t, smtpout.Options{Address: address})
			if d := c.Send(t.Context(), message()); d.Status != reset.Sent {
				t.Fatalf("first: %+v", d)
			}
			if d := c.Send(t.Context(), message()); d.Status != tt.want {
				t.Errorf("second: %+v", d)
			}
		})
	}
}

// TestDropInMessage holds that a message without its dot counts as not sent.
func TestDropInMessage(t *testing.T) {
	big := message()
	big.Data = bytes.Repeat([]byte("0123456789012345678901234567890123456789\r\n"), 150_000)
	address, _ := script(t, after([]move{say("220 x"), hear, say("250 x"), hear}, say("250 x"), hear, say("250 x"), hear, say("354 go"), part(1000))...)
	c := newClient(t, smtpout.Options{Address: address})
	d := c.Send(t.Context(), big)
	if d.Status != reset.NotSent || !strings.HasPrefix(d.Err.Error(), "smtp: DATA: ") {
		t.Errorf("%+v", d)
	}
}

// TestFlood holds that memory stays flat under a relay that never stops.
func TestFlood(t *testing.T) {
	for name, moves := range map[string][]move{
		"greeting":  {flood("220-x\r\n")},
		"EHLO":      {say("220 x"), hear, flood("250-x\r\n")},
		"MAIL":      after(mail, flood("250-x\r\n")),
		"pipelined": after(group, say("250 ok"), flood("250-x\r\n")),
		"dot":       after(dot, flood("250-x\r\n")),
		"long line": {flood("x")},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := script(t, moves...)
			c := newClient(t, smtpout.Options{Address: address})
			var before, behind runtime.MemStats
			runtime.ReadMemStats(&before)
			d := c.Send(t.Context(), message())
			runtime.ReadMemStats(&behind)
			want := reset.Unreachable
			switch name {
			case "MAIL", "pipelined":
				want = reset.NotSent
			case "dot":
				want = reset.Unknown
			}
			if d.Status != want || !strings.Contains(d.Err.Error(), "relay sends too much") {
				t.Errorf("%+v", d)
			}
			if got := behind.TotalAlloc - before.TotalAlloc; got > 8<<20 {
				t.Errorf("allocated %d bytes", got)
			}
		})
	}
}

// TestTLS holds that a relay without good TLS gets neither mail nor login.
func TestTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	good := ca.issue(t, nil)
	with := func(edit func(*tls.Config)) *tls.Config {
		c := good.Clone()
		edit(c)
		return c
	}
	secure := func(cfg *tls.Config) move {
		return func(c net.Conn, _ *bufio.Reader) bool { return tls.Server(c, cfg).Handshake() == nil }
	}
	upgrade := []move{say("220 x"), hear, say("250-x\n250-PIPELINING\n250 StartTLS"), hear}
	for _, tt := range []struct {
		name, mode string
		moves      []move
		want       reset.DeliveryStatus
		err        string
	}{
		{"not offered", "starttls", []move{say("220 x"), hear, say("250-x\n250 AUTH PLAIN"), hear}, reset.Misconfigured, "STARTTLS: relay does not offer it"},
		{"looks offered", "starttls", []move{say("220 x"), hear, say("250-x STARTTLS\n250 XSTARTTLS"), hear}, reset.Misconfigured, "STARTTLS: relay does not offer it"},
		{"refused for now", "starttls", after(upgrade, say("454 4.7.0 later")), reset.Unreachable, "STARTTLS: answer 454 4.7.0"},
		{"refused", "starttls", after(upgrade, say("502 5.5.1 no")), reset.Misconfigured, "STARTTLS: answer 502 5.5.1"},
		{"injected", "starttls", after(upgrade, say("220 go\n250 AUTH PLAIN"), secure(good)), reset.Misconfigured, "greeting: relay answered before it was asked"},
		{"injected behind the greeting", "starttls", after([]move{say("220 x\n250-x\n250 STARTTLS\n220 go"), hear, hear}, secure(good)), reset.Misconfigured, "EHLO: relay answered before it was asked"},
		{"injected behind EHLO", "starttls", after(upgrade[:len(upgrade)-2:len(upgrade)-2], say("250-x\n250 STARTTLS\n220 go"), hear, secure(good)), reset.Misconfigured, "STARTTLS: relay answered before it was asked"},
		{"plain text instead of TLS", "starttls", after(upgrade, say("220 go"), part(5), say("220 x"), hang), reset.Misconfigured, "TLS handshake: relay does not speak TLS here (wrong port, or starttls instead of implicit)"},
		{"plain text on the TLS port", "implicit", []move{say("220 x"), hang}, reset.Misconfigured, "TLS handshake: relay does not speak TLS here (wrong port, or starttls instead of implicit)"},
		{"unknown authority", "starttls", after(upgrade, say("220 go"), secure(other.issue(t, nil))), reset.Misconfigured, "TLS handshake: certificate is signed by an unknown authority (trusted_ca names another)"},
		{"other name", "implicit", []move{secure(ca.issue(t, func(c *x509.Certificate) { c.IPAddresses = nil; c.DNSNames = []string{"evil.test"} }))}, reset.Misconfigured, "TLS handshake: certificate is for another name"},
		{"expired", "implicit", []move{secure(ca.issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))}, reset.Misconfigured, "TLS handshake: certificate has expired or is not yet valid"},
		{"for clients only", "implicit", []move{secure(ca.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))}, reset.Misconfigured, "TLS handshake: certificate is not valid"},
		{"TLS 1.0", "implicit", []move{secure(with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 }))}, reset.Misconfigured, "TLS handshake: relay refuses the handshake (tls: protocol version not supported)"},
		{"TLS 1.1", "starttls", after(upgrade, say("220 go"), secure(with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }))), reset.Misconfigured, "TLS handshake: relay refuses the handshake (tls: protocol version not supported)"},
		{"hangs", "starttls", after(upgrade, say("220 go"), hang), reset.Misconfigured, "TLS handshake: timed out"},
		{"gone", "implicit", []move{part(5)}, reset.Misconfigured, "TLS handshake: connection lost"},
		{"floods", "implicit", []move{part(5), flood("\x16\x03\x03\x00\x04\x02\x00\x00\x00")}, reset.Misconfigured, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, heard := script(t, tt.moves...)
			c := newClient(t, smtpout.Options{
				Address: address, TLS: tt.mode, TrustedCA: ca.file, User: user,
				Secret: func() (string, error) { return secret, nil },
			})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if tt.name == "hangs" {
				ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
			}
			defer cancel()
			d := c.Send(ctx, message())
			if d.Status != tt.want || d.Err == nil || tt.err != "" && d.Err.Error() != "smtp: "+tt.err {
				t.Errorf("%d %v, want %d %q", d.Status, d.Err, tt.want, tt.err)
			}
			for _, s := range []string{"AUTH", "MAIL", "SECRETTOKEN", secret} {
				if strings.Contains(heard.String(), s) {
					t.Errorf("%s crossed in clear", s)
				}
			}
		})
	}
}

// TestHostileMessages holds that nothing of a message becomes a command.
func TestHostileMessages(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*reset.Message)
		want reset.DeliveryStatus
	}{
		{"parameter in recipient", func(m *reset.Message) { m.To = "victim@evil.com> NOTIFY=NEVER <x@x.com" }, reset.Rejected},
		{"quoted recipient", func(m *reset.Message) { m.To = `"victim@evil.com> NOTIFY=NEVER "@x.com` }, reset.Rejected},
		{"NUL in recipient", func(m *reset.Message) { m.To = "a\x00@x.com" }, reset.Rejected},
		{"no recipient", func(m *reset.Message) { m.To = "" }, reset.Rejected},
		{"parameter in sender", func(m *reset.Message) { m.From = "a@x.com> SIZE=1 <b@x.com" }, reset.Misconfigured},
		{"international sender", func(m *reset.Message) { m.From = "пошта@x.com" }, reset.Misconfigured},
		{"no sender", func(m *reset.Message) { m.From = "" }, reset.Misconfigured},
		{"bare CR", func(m *reset.Message) { m.Data = []byte("a\r\n\r\nx\r.\r\n") }, reset.Misconfigured},
		{"bare LF", func(m *reset.Message) { m.Data = []byte("a\r\n\r\nx\n.\r\nRCPT") }, reset.Misconfigured},
		{"CR CR LF", func(m *reset.Message) { m.Data = []byte("a\r\r\n") }, reset.Misconfigured},
		{"NUL", func(m *reset.Message) { m.Data = []byte("a\x00\r\n") }, reset.Misconfigured},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRelay(t, relayOptions{})
			c := newClient(t, smtpout.Options{Address: r.address})
			m := message()
			tt.edit(&m)
			d := c.Send(t.Context(), m)
			if d.Status != tt.want || strings.ContainsAny(d.Err.Error(), "@<>") {
				t.Errorf("%+v", d)
			}
			if n, _, _ := r.connections(); n != 0 {
				t.Error("connected for it")
			}
		})
	}
	t.Run("dots", func(t *testing.T) {
		r := newRelay(t, relayOptions{})
		c := newClient(t, smtpout.Options{Address: r.address})
		m := message()
		m.Data = []byte("S: x\r\n\r\na\r\n.\r\nRCPT TO:<evil@evil.test>\r\nDATA\r\n.b\r\n..\r\n")
		if d := c.Send(t.Context(), m); d.Status != reset.Sent || r.got()[0].data != string(m.Data) || len(r.got()) != 1 {
			t.Errorf("%+v, %+v", d, r.got())
		}
	})
}
