package smtpout_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSend(t *testing.T) {
	ca := newAuthority(t)
	for _, tt := range []struct {
		name  string
		relay relayOptions
		tls   string
	}{
		{"loopback in clear", relayOptions{}, ""},
		{"STARTTLS", relayOptions{tls: ca.issue(t, nil)}, "starttls"},
		{"implicit TLS", relayOptions{tls: ca.issue(t, nil), implicit: true}, "implicit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRelay(t, tt.relay)
			o := smtpout.Options{Address: r.address, TLS: tt.tls, Hello: "sidecar.example.com"}
			if tt.tls != "" {
				o.TrustedCA = ca.file
			}
			c := newClient(t, o)
			if d := c.Send(t.Context(), message()); d.Status != reset.Sent || d.Err != nil {
				t.Fatalf("%+v", d)
			}
			want := mailed{from: "support@example.com", to: "alice@example.org", data: body}
			if got := r.got(); len(got) != 1 || got[0] != want {
				t.Errorf("relay got %+v", got)
			}
			if !slices.Contains(r.names(), "sidecar.example.com") || slices.Contains(r.names(), "localhost") {
				t.Errorf("EHLO %q", r.names())
			}
			clear := strings.Contains(r.sent(), "SECRETTOKEN")
			if clear != (tt.tls == "") {
				t.Errorf("message on the wire in clear: %v", clear)
			}
		})
	}
}

func TestReuse(t *testing.T) {
	r := newRelay(t, relayOptions{})
	c := newClient(t, smtpout.Options{Address: r.address})
	for range smtpout.MaxMessages {
		if d := c.Send(t.Context(), message()); d.Status != reset.Sent {
			t.Fatalf("%+v", d)
		}
	}
	if n, _, _ := r.connections(); n != 1 {
		t.Errorf("%d connections for %d mails", n, smtpout.MaxMessages)
	}
	if wire := r.sent(); strings.Contains(wire, "RSET") || strings.Contains(wire, "NOOP") || strings.Count(wire, "EHLO") != 1 {
		t.Error("a kept connection costs commands that hand over no mail")
	}
	if c.Idle() != 0 {
		t.Error("connection kept past its number of mails")
	}
	if d := c.Send(t.Context(), message()); d.Status != reset.Sent {
		t.Fatalf("%+v", d)
	}
	if n, _, _ := r.connections(); n != 2 || len(r.got()) != smtpout.MaxMessages+1 {
		t.Errorf("%d connections, %d mails", n, len(r.got()))
	}
}

// TestResume holds that a new connection goes on with the TLS of an older one.
func TestResume(t *testing.T) {
	ca := newAuthority(t)
	for _, mode := range []string{"starttls", "implicit"} {
		t.Run(mode, func(t *testing.T) {
			cfg := ca.issue(t, nil)
			resumed := make(chan bool, 2)
			cfg.VerifyConnection = func(s tls.ConnectionState) error { resumed <- s.DidResume; return nil }
			r := newRelay(t, relayOptions{tls: cfg, implicit: mode == "implicit"})
			c := newClient(t, smtpout.Options{Address: r.address, TLS: mode, TrustedCA: ca.file})
			for _, want := range []bool{false, true} {
				if d := c.Send(t.Context(), message()); d.Status != reset.Sent {
					t.Fatalf("%+v", d)
				}
				if got := <-resumed; got != want {
					t.Errorf("resumed %v, want %v", got, want)
				}
				r.cut()
			}
		})
	}
}

func TestIdle(t *testing.T) {
	r := newRelay(t, relayOptions{})
	c := newClient(t, smtpout.Options{Address: r.address})
	c.SetTimeouts(0, 20*time.Millisecond)
	c.Send(t.Context(), message())
	until(t, "closing an unused connection", func() bool { _, open, _ := r.connections(); return open == 0 })
	if !strings.HasSuffix(r.sent(), "QUIT\r\n") {
		t.Error("no QUIT")
	}
}

// TestStale holds that a connection which died while it was kept costs no
// attempt, and that nothing is sent twice.
func TestStale(t *testing.T) {
	r := newRelay(t, relayOptions{})
	c := newClient(t, smtpout.Options{Address: r.address})
	for range 3 {
		if d := c.Send(t.Context(), message()); d.Status != reset.Sent {
			t.Fatalf("%+v", d)
		}
		r.cut()
	}
	if n, _, _ := r.connections(); n != 3 || len(r.got()) != 3 {
		t.Errorf("%d connections, %d mails", n, len(r.got()))
	}
}

func TestRejected(t *testing.T) {
	r := newRelay(t, relayOptions{})
	c := newClient(t, smtpout.Options{Address: r.address})
	m := message()
	m.To = "unknown@example.org"
	d := c.Send(t.Context(), m)
	if d.Status != reset.Rejected || d.Err.Error() != "smtp: RCPT: answer 550 5.1.1" {
		t.Errorf("%+v", d)
	}
	if d := c.Send(t.Context(), message()); d.Status != reset.Sent {
		t.Errorf("next mail: %+v", d)
	}
}

func TestSMTPUTF8(t *testing.T) {
	m := message()
	m.To = "пошта@bücher.example"
	t.Run("offered", func(t *testing.T) {
		r := newRelay(t, relayOptions{edit: func(s *smtp.Server) { s.EnableSMTPUTF8 = true }})
		c := newClient(t, smtpout.Options{Address: r.address})
		if d := c.Send(t.Context(), m); d.Status != reset.Sent {
			t.Fatalf("%+v", d)
		}
		if got := r.got()[0]; !got.utf8 || got.to != "пошта@xn--bcher-kva.example" {
			t.Errorf("%+v", got)
		}
		if d := c.Send(t.Context(), message()); d.Status != reset.Sent || r.got()[1].utf8 {
			t.Errorf("%+v: SMTPUTF8 asked for without need", d)
		}
	})
	t.Run("not offered", func(t *testing.T) {
		r := newRelay(t, relayOptions{})
		c := newClient(t, smtpout.Options{Address: r.address})
		if d := c.Send(t.Context(), m); d.Status != reset.Rejected {
			t.Errorf("%+v", d)
		}
		if wire := r.sent(); strings.Contains(wire, "RCPT") || !strings.Contains(wire, "EHLO") {
			t.Errorf("wire %q", wire)
		}
		m.To = "alice@bücher.example"
		if d := c.Send(t.Context(), m); d.Status != reset.Sent || r.got()[0].to != "alice@xn--bcher-kva.example" {
			t.Errorf("international domain: %+v", d)
		}
	})
}

func TestSize(t *testing.T) {
	r := newRelay(t, relayOptions{edit: func(s *smtp.Server) { s.MaxMessageBytes = 20 }})
	c := newClient(t, smtpout.Options{Address: r.address})
	if d := c.Send(t.Context(), message()); d.Status != reset.Misconfigured || strings.Contains(r.sent(), "MAIL") {
		t.Errorf("%+v", d)
	}
}

// TestConnections holds that no more are open than allowed, and that whoever
// waits longest is served first.
func TestConnections(t *testing.T) {
	r := newRelay(t, relayOptions{})
	r.hold = make(chan struct{})
	c := newClient(t, smtpout.Options{Address: r.address, Connections: 2})
	var wg sync.WaitGroup
	send := func(n int) {
		m := message()
		m.To = fmt.Sprintf("n%d@example.org", n)
		wg.Go(func() {
			if d := c.Send(t.Context(), m); d.Status != reset.Sent {
				t.Errorf("%d: %+v", n, d)
			}
		})
	}
	send(0)
	send(1)
	until(t, "two mails under way", func() bool { return len(r.got()) == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if d := c.Send(ctx, message()); d.Status != reset.NotSent || !strings.Contains(d.Err.Error(), "timed out") {
		t.Errorf("waiting: %+v", d)
	}
	for n := 2; n < 6; n++ {
		send(n)
		time.Sleep(20 * time.Millisecond) // there is no seeing a goroutine wait in line
	}
	for n := 2; n < 6; n++ {
		r.hold <- struct{}{}
		until(t, "next mail", func() bool { return len(r.got()) == n+1 })
		if got, want := r.got()[n].to, fmt.Sprintf("n%d@example.org", n); got != want {
			t.Errorf("served %s, want %s", got, want)
		}
	}
	close(r.hold)
	wg.Wait()
	if n, _, most := r.connections(); n != 2 || most != 2 {
		t.Errorf("%d connections, %d at once", n, most)
	}
}

func TestClose(t *testing.T) {
	r := newRelay(t, relayOptions{})
	r.hold = make(chan struct{})
	c := newClient(t, smtpout.Options{Address: r.address})
	done := make(chan reset.Delivery)
	go func() { done <- c.Send(t.Context(), message()) }()
	until(t, "a mail under way", func() bool { return len(r.got()) == 1 })
	c.Close()
	close(r.hold)
	if d := <-done; d.Status != reset.Sent {
		t.Errorf("mail under way: %+v", d)
	}
	until(t, "closing", func() bool { _, open, _ := r.connections(); return open == 0 })
	if d := c.Send(t.Context(), message()); d.Status != reset.NotSent || d.Err == nil {
		t.Errorf("after Close: %+v", d)
	}
}

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	get := func() (string, error) { return secret, nil }
	for _, tt := range []struct {
		name string
		o    smtpout.Options
		want string // of the error, "" for none
	}{
		{"remote", smtpout.Options{Address: "mail.example.com:587"}, ""},
		{"remote with login", smtpout.Options{Address: "mail.example.com:465", User: "u", Secret: get}, ""},
		{"loopback", smtpout.Options{Address: "[::1]:25"}, ""},
		{"loopback on 465 is TLS", smtpout.Options{Address: "127.0.0.1:465", User: "u", Secret: get}, ""},
		{"off on loopback", smtpout.Options{Address: "localhost:25", TLS: "off"}, ""},
		{"literal hello", smtpout.Options{Address: "localhost:25", Hello: "[IPv6:2001:db8::1]"}, ""},
		{"no address", smtpout.Options{}, "is not host:port"},
		{"no port", smtpout.Options{Address: "mail.example.com"}, "is not host:port"},
		{"named port", smtpout.Options{Address: "mail.example.com:smtp"}, "has no port number"},
		{"port 0", smtpout.Options{Address: "mail.example.com:0"}, "has no port number"},
		{"space", smtpout.Options{Address: "mail example.com:25"}, "space"},
		{"off elsewhere", smtpout.Options{Address: "mail.example.com:25", TLS: "off"}, "this machine only"},
		{"off on a private address", smtpout.Options{Address: "10.0.0.1:25", TLS: "off"}, "this machine only"},
		{"off on a look-alike", smtpout.Options{Address: "localhost.example.com:25", TLS: "off"}, "this machine only"},
		{"login on loopback is TLS", smtpout.Options{Address: "127.0.0.1:25", User: "u", Secret: get}, ""},
		{"login in clear", smtpout.Options{Address: "127.0.0.1:25", TLS: "off", User: "u", Secret: get}, "a login needs TLS"},
		{"login in clear, named", smtpout.Options{Address: "localhost:25", TLS: "off", User: "u", Secret: get}, "a login needs TLS"},
		{"unknown tls", smtpout.Options{Address: "localhost:25", TLS: "ssl"}, "none of starttls"},
		{"unknown mechanism", smtpout.Options{Address: "mail.example.com:25", User: "u", Secret: get, Mechanism: "cram-md5"}, "none of plain"},
		{"user without secret", smtpout.Options{Address: "mail.example.com:25", User: "u"}, "needs a secret"},
		{"secret without user", smtpout.Options{Address: "mail.example.com:25", Secret: get}, "needs a user"},
		{"hostile user", smtpout.Options{Address: "mail.example.com:25", User: "u\x00x", Secret: get}, "control character"},
		{"hostile hello", smtpout.Options{Address: "localhost:25", Hello: "a\r\nMAIL"}, "hello"},
		{"broken literal hello", smtpout.Options{Address: "localhost:25", Hello: "[x]"}, "hello"},
		{"connections", smtpout.Options{Address: "localhost:25", Connections: -1}, "connections"},
		{"no CA file", smtpout.Options{Address: "mail.example.com:25", TrustedCA: filepath.Join(dir, "none")}, "reading trusted_ca"},
		{"junk CA file", smtpout.Options{Address: "mail.example.com:25", TrustedCA: junk}, "no certificate"},
		{"CA without TLS", smtpout.Options{Address: "localhost:25", TrustedCA: junk}, "makes no sense"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := smtpout.New(tt.o)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
