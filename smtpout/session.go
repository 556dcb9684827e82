package smtpout

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-smtp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// maxWrite is what one record of TLS holds: more would be cut, and a usual mail
// is not.
const maxWrite = 16 << 10

// An envelope is a message that was found fit to be sent.
type envelope struct {
	from, to string // domains in A-labels
	utf8     bool   // the relay has to offer SMTPUTF8
	data     []byte
}

// A session is one connection, logged in and ready for a message. It belongs
// to one goroutine at a time.
type session struct {
	conn     *conn
	stream   net.Conn          // conn, or TLS on it
	in       *textproto.Reader // on stream, also for the library
	out      *bufio.Writer     // on stream; the library has its own
	client   *smtp.Client      // for all but the mails, as it cannot pipeline
	messages int               // that were begun
	timer    *time.Timer       // ends it while it is not in use
	fresh    bool              // its TLS resumes none that went before
}

func newSession(c *conn) *session {
	s := &session{conn: c, in: textproto.NewReader(bufio.NewReader(c)), out: bufio.NewWriterSize(c, maxWrite)}
	s.over(c)
	return s
}

// seal checks a message once more, where it becomes SMTP: a ">" in an address
// would end the path and add parameters of a stranger's to the command
// (CVE-2025-13033), and some servers take a bare CR or LF for the end of a line
// (CVE-2023-51764).
func seal(m reset.Message) (envelope, *failure) {
	from, err := reset.EnvelopeAddress(m.From)
	if err != nil || !ascii(from) {
		return envelope{}, misconfigured(stageMail, "sender address is not valid")
	}
	to, err := reset.EnvelopeAddress(m.To)
	if err != nil {
		return envelope{}, rejected("recipient address is not valid")
	}
	if !wellFormed(m.Data) {
		return envelope{}, misconfigured(stageData, "message has a NUL, a bare CR or a bare LF")
	}
	return envelope{from: from, to: to, utf8: !ascii(to), data: m.Data}, nil
}

// open makes a new session.
func (c *Client) open(ctx context.Context) (*session, *failure) {
	if c.isClosed() {
		return nil, &failure{status: reset.NotSent, stage: stageConnect, cause: "client is closed"}
	}
	raw, err := c.dial(ctx)
	if err != nil {
		return nil, err.early(ctx)
	}
	s := newSession(raw)
	end := s.begin(ctx)
	defer end()
	if err := c.establish(ctx, s); err != nil {
		s.close()
		return nil, err.early(ctx)
	}
	return s, nil
}

// establish takes a new connection through greeting, TLS, EHLO and login.
//
// The part in clear is our own, as the library's says EHLO as "localhost" and
// starts TLS at some later command.
func (c *Client) establish(ctx context.Context, s *session) *failure {
	if c.security == implicit {
		if err := c.protect(ctx, s); err != nil {
			return err
		}
	}
	if _, err := s.hear(220); err != nil {
		return fail(ctx, stageGreeting, err)
	}
	if c.security == starttls {
		if err := c.upgrade(ctx, s); err != nil {
			return err
		}
	}
	if !s.quiet() {
		return fail(ctx, stageGreeting, errEarly)
	}
	if c.security == starttls {
		if err := c.protect(ctx, s); err != nil {
			return err
		}
	}
	// The library begins with a greeting, and that was heard.
	s.in.R.Reset(io.MultiReader(strings.NewReader("220 -\r\n"), s.stream))
	s.client = smtp.NewClient(s.lines())
	s.client.CommandTimeout = c.commandTimeout
	if err := s.client.Hello(c.hello); err != nil {
		return fail(ctx, stageHello, err)
	}
	if err := c.authenticate(ctx, s); err != nil {
		return err
	}
	c.log.DebugContext(ctx, "smtp connection opened", "relay", c.address, "tls", string(c.security))
	return nil
}

// upgrade asks for TLS. There is no going on without: whoever is on the way can
// take the offer out of the answer.
func (c *Client) upgrade(ctx context.Context, s *session) *failure {
	answer, err := s.ask("EHLO "+c.hello, 250)
	if err != nil {
		return fail(ctx, stageHello, err)
	}
	offered := false
	for line := range strings.SplitSeq(answer, "\n") {
		offered = offered || asciiUpper(strings.TrimSpace(line)) == "STARTTLS"
	}
	if !offered {
		return misconfigured(stageStartTLS, causeNoStartTLS)
	}
	if _, err := s.ask("STARTTLS", 220); err != nil {
		return fail(ctx, stageStartTLS, err)
	}
	return nil
}

func (c *Client) protect(ctx context.Context, s *session) *failure {
	t, err := c.handshake(ctx, s)
	if err != nil {
		return err
	}
	s.over(t)
	return nil
}

// over continues over another stream.
func (s *session) over(stream net.Conn) {
	s.stream = stream
	s.in.R.Reset(stream)
	s.out.Reset(s.lines())
}

func (s *session) lines() *lineConn { return &lineConn{Conn: s.stream, in: s.in.R} }

// quiet reports whether all that came was heard.
func (s *session) quiet() bool { return s.in.R.Buffered() == 0 }

// put adds a line to what is said with the next Flush.
func (s *session) put(line string) {
	_, _ = s.out.WriteString(line) // Flush tells
	_, _ = s.out.WriteString("\r\n")
}

// hear reads one answer, which has to begin with the digits of code.
func (s *session) hear(code int) (string, error) {
	s.conn.expect()
	_, text, err := s.in.ReadResponse(code)
	return text, err
}

// ask says a line and reads the answer to it.
func (s *session) ask(line string, code int) (string, error) {
	s.put(line)
	if err := s.out.Flush(); err != nil {
		return "", err
	}
	return s.hear(code)
}

// begin starts an attempt on s: its deadline holds for all that is read and
// written until end is called. End reports false if the context ended first;
// then the connection is closed.
func (s *session) begin(ctx context.Context) (end func() bool) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(attemptTimeout)
	}
	s.conn.begin(deadline)
	return context.AfterFunc(ctx, func() { s.conn.Close() })
}

// quit says goodbye and does not wait for an answer, which a relay could hold
// back at will.
func (s *session) quit() {
	s.conn.begin(time.Now().Add(time.Second))
	_, _ = s.stream.Write([]byte("QUIT\r\n"))
	s.close()
}

func (s *session) close() {
	if t, ok := s.stream.(*tls.Conn); ok {
		_ = t.Close()
	}
	_ = s.conn.Close()
}

// wellFormed reports whether every CR and LF is part of a CRLF and there is no
// NUL (RFC 5321 section 2.3.8).
func wellFormed(data []byte) bool {
	lines := bytes.Count(data, []byte("\r\n"))
	return bytes.Count(data, []byte("\r")) == lines && bytes.Count(data, []byte("\n")) == lines &&
		bytes.IndexByte(data, 0) < 0
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

func asciiUpper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - ('a' - 'A')
		}
		return r
	}, s)
}
