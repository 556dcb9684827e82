package main

import (
	"bytes"
	"io"
	"net"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

// A relay takes every mail at once, counts it, and keeps the token of its link.
type relay struct {
	server *smtp.Server
	addr   string

	mails atomic.Int64

	mu     sync.Mutex
	tokens []string
	last   []byte // the mail that came last
}

func newRelay() (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{addr: l.Addr().String()}
	r.server = smtp.NewServer(r)
	r.server.Domain = "relay.example"
	r.server.ReadTimeout, r.server.WriteTimeout = time.Minute, time.Minute
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

func (r *relay) close() { _ = r.server.Close() }

// NewSession implements [smtp.Backend].
func (r *relay) NewSession(*smtp.Conn) (smtp.Session, error) { return &relaySession{relay: r}, nil }

// take returns the tokens of the mails so far, and forgets them.
func (r *relay) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	tokens := r.tokens
	r.tokens = nil
	return tokens
}

// message returns a mail as it came.
func (r *relay) message() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

type relaySession struct{ relay *relay }

func (*relaySession) Reset()                               {}
func (*relaySession) Logout() error                        { return nil }
func (*relaySession) Mail(string, *smtp.MailOptions) error { return nil }
func (*relaySession) Rcpt(string, *smtp.RcptOptions) error { return nil }

var (
	softBreak = []byte("=\r\n") // of quoted-printable
	link      = regexp.MustCompile(`/password-reset/link/([A-Za-z0-9_-]{64})`)
)

// Data implements [smtp.Session].
func (s *relaySession) Data(r io.Reader) error {
	mail, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.relay.mails.Add(1)
	m := link.FindSubmatch(bytes.ReplaceAll(mail, softBreak, nil))
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.relay.last = mail
	if m != nil {
		s.relay.tokens = append(s.relay.tokens, string(m[1]))
	}
	return nil
}
