// Package smtpout hands mails to a relay over SMTP.
//
// It promises what happened to a message: [Client.Send] answers Sent only
// after the relay's 250 to the whole message, NotSent and Unreachable only if
// the relay surely has nothing to deliver, the latter if it was not ready for any
// mail, and Unknown when the connection was lost between the final dot and the
// answer (RFC 1047). The same Message-ID then makes a second copy recognisable.
//
// It never sends a mail or a secret in clear but to this machine: TLS is
// required, 1.2 or newer, with a verified certificate; a relay that does not
// offer STARTTLS gets nothing (CVE-2017-15042); a login without TLS is refused
// by [New]. Nothing of what a relay says and no address is ever in an error or
// a log: a 550 quotes the recipient.
//
// A relay can cost at most the deadline of an attempt, 64 KiB of memory and
// one of few connections. These bounds are far below the time-outs of RFC 5321
// section 4.5.3.2, on purpose: a person waits for the mail. A relay that takes
// longer to answer the final dot may get the message twice.
//
// Connections are kept for a short while and used again; TLS is resumed; what a
// relay lets be said at once is said at once (RFC 2920). A Client is safe for
// concurrent use and starts no goroutine that outlives its connections; the
// caller closes it.
//
// What an operator has to change when mails do not leave, [Client.Probe] tells.
package smtpout

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	// attemptTimeout bounds an attempt whose context has no deadline.
	attemptTimeout = time.Minute
	// commandTimeout bounds one command and its answer, and one write.
	commandTimeout = 30 * time.Second
	// idleTimeout is how long an unused connection is kept. Relays close one
	// after minutes, and some firewalls forget it silently before that.
	idleTimeout = 30 * time.Second
	// maxMessages is how many mails one connection carries. Relays count, too.
	maxMessages = 100
	// defaultConnections is few: relays limit how many one client may hold.
	defaultConnections = 4
)

// Options say how the relay is reached.
type Options struct {
	// Address of the relay, host:port. Required.
	Address string

	// TLS is "starttls", "implicit" or "off". Default: implicit for port 465,
	// off for a relay on this machine (localhost or a loopback address) that
	// wants no login, and starttls for all else. With starttls, a relay that
	// does not offer it gets no mail. Off is refused for any other machine.
	TLS string

	// TrustedCA is a PEM file with the certificates that may sign the relay's.
	// Default: those that the system trusts.
	TrustedCA string

	// Hello is the name this client gives itself, a domain name or an address
	// in brackets. Default: the host name of the machine.
	Hello string

	// Connections is how many may be open at once. Default: 4.
	Connections int

	// User is the name to log in with. Default: none, no login. It needs TLS.
	User string

	// Secret returns the password or the access token of User. It is called
	// for each new connection, so that a changed secret needs no reload.
	Secret func() (string, error)

	// Mechanism is "plain", "login", "xoauth2" or "oauthbearer". Default:
	// plain, or login where the relay does not offer that. The last two send
	// the secret as an access token and have to be named.
	Mechanism string

	// Logger gets one debug line for each connection. Default: none.
	Logger *slog.Logger
}

// A Client sends mails through one relay. It implements [reset.Mailer].
type Client struct {
	host, address string
	security      security
	tls           *tls.Config
	hello         string
	user          string
	secret        func() (string, error)
	mechanism     string
	log           *slog.Logger

	commandTimeout time.Duration
	idleTimeout    time.Duration

	// slots bounds the connections. Goroutines that wait to send on a channel
	// are served in their order.
	slots chan struct{}

	mu      sync.Mutex
	idle    []*session // the one used last is last
	closed  bool
	expires time.Time // the relay's certificate
}

// New checks the options and reads the trusted certificates. It opens no
// connection: a relay that is down must not keep a configuration from loading.
func New(o Options) (*Client, error) {
	c := &Client{
		user:           o.User,
		secret:         o.Secret,
		mechanism:      o.Mechanism,
		log:            o.Logger,
		commandTimeout: commandTimeout,
		idleTimeout:    idleTimeout,
	}
	if err := c.secure(o); err != nil {
		return nil, err
	}
	if err := c.introduce(o.Hello); err != nil {
		return nil, err
	}
	switch o.Mechanism {
	case "", plain, login, xoauth2, oauthbearer:
	default:
		return nil, fmt.Errorf("mechanism %q is none of plain, login, xoauth2, oauthbearer", o.Mechanism)
	}
	if o.User == "" && (o.Secret != nil || o.Mechanism != "") {
		return nil, errors.New("a secret or mechanism needs a user to log in")
	}
	if o.User != "" && o.Secret == nil {
		return nil, errors.New("a user to log in needs a secret")
	}
	if strings.ContainsAny(o.User, "\x00\x01\r\n") {
		return nil, errors.New("the user to log in has a control character")
	}
	if o.User != "" && c.security == off {
		// Loopback is no excuse: whoever takes the port while the relay is
		// down would be told the secret.
		return nil, errors.New("a login needs TLS, also on this machine: leave tls away or set it to starttls or implicit, or remove the login")
	}
	if o.Connections < 0 || o.Connections > 1000 {
		return nil, fmt.Errorf("connections: %d is not between 1 and 1000", o.Connections)
	}
	if o.Connections == 0 {
		o.Connections = defaultConnections
	}
	c.slots = make(chan struct{}, o.Connections)
	if c.tls != nil {
		c.tls.ClientSessionCache = tls.NewLRUClientSessionCache(o.Connections)
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Send makes one attempt to hand m to the relay. It is bounded by the deadline
// of ctx, or by a minute if there is none; cancelling ctx ends it at once.
// While all connections are in use it waits in line.
//
// A kept connection that turns out to be dead before the relay has said a word
// to this message is replaced once, which is no attempt of its own.
func (c *Client) Send(ctx context.Context, m reset.Message) reset.Delivery {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
	}
	e, err := seal(m)
	if err != nil {
		return err.delivery()
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return fail(ctx, stageConnect, ctx.Err()).delivery()
	}
	if s := c.take(); s != nil {
		d, stale := c.use(ctx, s, e)
		if !stale {
			return d
		}
	}
	s, err := c.open(ctx)
	if err != nil {
		return err.delivery()
	}
	d, _ := c.use(ctx, s, e)
	return d
}

// Close closes the connections that are not in use; the others end with their
// message. What is sent later is answered with NotSent.
func (c *Client) Close() {
	c.mu.Lock()
	idle := c.idle
	c.idle, c.closed = nil, true
	c.mu.Unlock()
	for _, s := range idle {
		s.timer.Stop()
		s.quit()
	}
}

// CertificateExpires returns the NotAfter of the certificate that the relay
// showed at the newest TLS handshake, also if it had expired; the zero time if
// there was none. A connection that resumes the TLS of an older one goes by the
// certificate of that.
func (c *Client) CertificateExpires() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.expires
}

// use delivers one message over s and keeps s if it is still good. It reports
// stale if s was an old connection that died before its first answer.
func (c *Client) use(ctx context.Context, s *session, e envelope) (d reset.Delivery, stale bool) {
	old := s.messages > 0
	end := s.begin(ctx)
	said, err := s.deliver(ctx, e)
	alive := end()
	switch {
	case err == nil && alive && s.quiet() && s.messages < maxMessages:
		c.keep(s)
	case err == nil || err.code != 0 || err.status == reset.Rejected:
		s.quit()
	default:
		s.close()
	}
	stale = old && err != nil && err.stage == stageMail && (err.code == 0 || err.code == 421) && ctx.Err() == nil
	d = err.delivery()
	if err == nil {
		d.Answer = receipt(said, e)
	}
	return d, stale
}

// take returns the connection that was used last, or nil.
func (c *Client) take() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) == 0 {
		return nil
	}
	s := c.idle[len(c.idle)-1]
	c.idle = c.idle[:len(c.idle)-1]
	s.timer.Stop()
	return s
}

func (c *Client) keep(s *session) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		s.quit()
		return
	}
	defer c.mu.Unlock()
	c.idle = append(c.idle, s)
	s.timer = time.AfterFunc(c.idleTimeout, func() {
		if c.forget(s) {
			s.quit()
		}
	})
}

// forget takes s out of the unused connections. It reports false if somebody
// else has done so and owns it.
func (c *Client) forget(s *session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.idle {
		if c.idle[i] == s {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			return true
		}
	}
	return false
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

var _ reset.Mailer = (*Client)(nil)
