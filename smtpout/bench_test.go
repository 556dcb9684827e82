package smtpout_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

// BenchmarkSend measures mails of a usual size to a relay that throws them
// away. One that is slow answers each thing it was told 20 ms late, however
// many commands that thing had: so it shows what pipelining saves.
func BenchmarkSend(b *testing.B) {
	ca := newAuthority(b)
	protected := ca.issue(b, nil)
	for _, bb := range []struct {
		name        string
		connections int
		sink        sink
	}{
		{"plain, 1 connection", 1, sink{}},
		{"plain, 4 connections", 4, sink{}},
		{"STARTTLS and login, 1 connection", 1, sink{tls: protected}},
		{"STARTTLS and login, 4 connections", 4, sink{tls: protected}},
		{"20 ms, 1 connection", 1, sink{late: 20 * time.Millisecond}},
		{"20 ms, 4 connections", 4, sink{late: 20 * time.Millisecond}},
		{"20 ms, no pipelining, 1 connection", 1, sink{late: 20 * time.Millisecond, sequential: true}},
		{"20 ms, no pipelining, 4 connections", 4, sink{late: 20 * time.Millisecond, sequential: true}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			c := newClient(b, bb.sink.options(b, ca, bb.connections))
			m := usual()
			send := func() {
				if d := c.Send(context.Background(), m); d.Status != reset.Sent {
					b.Errorf("%+v", d)
				}
			}
			send() // opening a connection is no part of it
			b.ReportAllocs()
			b.SetParallelism(bb.connections)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					send()
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
		})
	}
	b.Run("STARTTLS and login, new connection each", func(b *testing.B) {
		o := sink{tls: protected}.options(b, ca, 1)
		m := usual()
		b.ReportAllocs()
		for b.Loop() {
			c := newClient(b, o)
			if d := c.Send(context.Background(), m); d.Status != reset.Sent {
				b.Fatalf("%+v", d)
			}
			c.Close()
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
	})
}

// usual returns a mail of 10 KB, which is what one in two forms takes.
func usual() reset.Message {
	m := message()
	line := strings.Repeat("x", 76) + "\r\n"
	m.Data = []byte(body + strings.Repeat(line, 10_000/len(line)))
	return m
}

// A sink is a real SMTP server that throws away what it gets.
type sink struct {
	tls        *tls.Config
	late       time.Duration // for each thing that it is told
	sequential bool          // offers no PIPELINING
}

// options starts the server and returns how to reach it.
func (s sink) options(b *testing.B, ca *authority, connections int) smtpout.Options {
	b.Helper()
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return sinkSession{}, nil }))
	srv.TLSConfig = s.tls
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(&sinkListener{l, s}) }()
	b.Cleanup(func() { srv.Close(); l.Close(); <-done })
	o := smtpout.Options{Address: l.Addr().String(), Connections: connections}
	if s.tls != nil {
		o.TLS, o.TrustedCA, o.User = "starttls", ca.file, user
		o.Secret = func() (string, error) { return secret, nil }
	}
	return o
}

type sinkListener struct {
	net.Listener
	sink sink
}

func (l *sinkListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &sinkConn{Conn: c, sink: l.sink}, err
}

type sinkConn struct {
	net.Conn
	sink  sink
	spoke bool // since it was told something
}

func (c *sinkConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.spoke && c.sink.late > 0 {
		time.Sleep(c.sink.late)
	}
	c.spoke = false
	return n, err
}

func (c *sinkConn) Write(p []byte) (int, error) {
	c.spoke = true
	if c.sink.sequential {
		_, err := c.Conn.Write(bytes.Replace(p, []byte("PIPELINING"), []byte("X-NOTHING"), 1))
		return len(p), err
	}
	return c.Conn.Write(p)
}

type sinkSession struct{}

func (sinkSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (sinkSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, u, p string) error {
		if u != user || p != secret {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (sinkSession) Mail(string, *smtp.MailOptions) error { return nil }
func (sinkSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (sinkSession) Reset()                               {}
func (sinkSession) Logout() error                        { return nil }

func (sinkSession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
