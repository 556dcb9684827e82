package smtpout

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-smtp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

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
	stream   net.Conn // conn, or TLS on it
	client   *smtp.Client
	messages int         // that were begun
	timer    *time.Timer // ends it while it is not in use
}

// seal checks a message once more, where it becomes SMTP. The library refuses
// CR and LF in an address and nothing else: a ">" would end the path and add
// parameters of a stranger's to the command (CVE-2025-13033). It passes a bare
// CR, which some servers take for the end of a line (CVE-2023-51764).
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
		return nil, err
	}
	s := &session{conn: raw, stream: raw}
	end := s.begin(ctx)
	defer end()
	if err := c.establish(ctx, s); err != nil {
		s.close()
		return nil, err
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
	s.conn.expect()
	in := bufio.NewReader(s.stream)
	r := textproto.NewReader(in)
	if _, _, err := r.ReadResponse(220); err != nil {
		return fail(ctx, stageGreeting, err)
	}
	if c.security == starttls {
		if err := c.upgrade(ctx, s, r); err != nil {
			return err
		}
	}
	// Whatever came before it was asked for is no answer to what is asked
	// next; before TLS, anybody on the way may have put it there.
	if in.Buffered() > 0 {
		return misconfigured(stageGreeting, "relay answered before it was asked")
	}
	if c.security == starttls {
		if err := c.protect(ctx, s); err != nil {
			return err
		}
	}
	s.client = smtp.NewClient(&greeted{Conn: s.stream, greeting: strings.NewReader("220 -\r\n")})
	// The answer to the final dot may take the rest of the attempt.
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

// upgrade asks for TLS. There is no going on without: whoever is on the way
// can take the offer out of the answer.
func (c *Client) upgrade(ctx context.Context, s *session, r *textproto.Reader) *failure {
	command := func(line string, code int) (string, error) {
		s.conn.expect()
		if _, err := fmt.Fprintf(s.stream, "%s\r\n", line); err != nil {
			return "", err
		}
		_, answer, err := r.ReadResponse(code)
		return answer, err
	}
	answer, err := command("EHLO "+c.hello, 250)
	if err != nil {
		return fail(ctx, stageHello, err)
	}
	offered := false
	for line := range strings.SplitSeq(answer, "\n") {
		offered = offered || asciiUpper(strings.TrimSpace(line)) == "STARTTLS"
	}
	if !offered {
		return misconfigured(stageStartTLS, "relay does not offer it")
	}
	if _, err := command("STARTTLS", 220); err != nil {
		return fail(ctx, stageStartTLS, err)
	}
	return nil
}

func (c *Client) protect(ctx context.Context, s *session) *failure {
	t, err := c.handshake(ctx, s.conn)
	if err != nil {
		return err
	}
	s.stream = t
	return nil
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

// deliver sends one message. A nil result means that the relay has taken it.
func (s *session) deliver(ctx context.Context, e envelope) *failure {
	s.messages++
	if e.utf8 {
		if ok, _ := s.client.Extension("SMTPUTF8"); !ok {
			return rejected("recipient address needs SMTPUTF8, which the relay does not offer")
		}
	}
	if limit, ok := s.client.MaxMessageSize(); ok && limit > 0 && len(e.data) > limit {
		return misconfigured(stageData, "message is larger than the relay takes")
	}
	if err := s.client.Mail(e.from, &smtp.MailOptions{Size: int64(len(e.data)), UTF8: e.utf8}); err != nil {
		return fail(ctx, stageMail, err)
	}
	if err := s.client.Rcpt(e.to, nil); err != nil {
		return fail(ctx, stageRecipient, err)
	}
	w, err := s.client.Data()
	if err != nil {
		return fail(ctx, stageData, err)
	}
	if _, err := w.Write(e.data); err != nil {
		return fail(ctx, stageData, err) // without the dot it is no message
	}
	if err := w.Close(); err != nil {
		return fail(ctx, stageEnd, err)
	}
	return nil
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

// greeted gives the library the greeting that was read already.
type greeted struct {
	net.Conn
	greeting *strings.Reader
}

func (g *greeted) Read(p []byte) (int, error) {
	if g.greeting.Len() > 0 {
		return g.greeting.Read(p)
	}
	return g.Conn.Read(p)
}

// wellFormed reports whether every CR and LF is part of a CRLF and there is no
// NUL (RFC 5321 section 2.3.8).
func wellFormed(data []byte) bool {
	var last byte
	for _, b := range data {
		if b == 0 || (last == '\r') != (b == '\n') {
			return false
		}
		last = b
	}
	return last != '\r'
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
