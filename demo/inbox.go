package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Bounds of an [Inbox].
const (
	maxMail  = 1 << 20  // bytes of one mail
	maxInbox = 64 << 20 // bytes of all; then the inbox answers 452
	// smtpPatience is how long a sender may be silent.
	smtpPatience = time.Minute
)

// InboxOptions are the options of an [Inbox]. The zero value takes mail for
// example.com on a free port of 127.0.0.1, without TLS and without a login.
type InboxOptions struct {
	// Listener is where mail comes in; the inbox closes it. For implicit TLS
	// give one of [tls.NewListener].
	Listener net.Listener
	// Domains are those that mail is taken for; by default example.com.
	Domains []string
	// TLS makes the inbox offer STARTTLS.
	TLS *tls.Config
	// User and Password, if set, have to be given (AUTH PLAIN) before a mail
	// is taken.
	User, Password string
	// Logger gets what is wrong with connections; by default nobody.
	Logger *slog.Logger
}

// An Inbox is a mail server that keeps what it gets in memory and shows it:
// to people as a web page, see [Inbox.ServeHTTP], to programs by [Inbox.Wait].
// It may be used from several goroutines at once.
type Inbox struct {
	options  InboxOptions
	server   *smtp.Server
	listener net.Listener
	served   chan struct{}
	pages    *http.ServeMux
	down     atomic.Bool

	mu    sync.Mutex
	mails []Mail
	size  int
	news  chan struct{} // closed and replaced when a mail comes in
}

// NewInbox returns an inbox that takes mail already.
func NewInbox(o InboxOptions) (*Inbox, error) {
	if o.Listener == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("opening inbox: %w", err)
		}
		o.Listener = l
	}
	if o.Domains == nil {
		o.Domains = []string{"example.com"}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Inbox{options: o, listener: o.Listener, served: make(chan struct{}), news: make(chan struct{})}
	b.pages = b.routes()
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{inbox: b, trusted: o.User == ""}, nil
	}))
	s.Domain = "inbox.example.com"
	s.TLSConfig = o.TLS
	s.AllowInsecureAuth = true // on loopback, among samples
	s.EnableSMTPUTF8 = true
	s.MaxMessageBytes = maxMail
	s.MaxRecipients = 10
	s.ReadTimeout, s.WriteTimeout = smtpPatience, smtpPatience
	s.ErrorLog = slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn)
	b.server = s
	go func() {
		defer close(b.served)
		if err := s.Serve(b.listener); err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			o.Logger.Error("inbox stopped", "error", err)
		}
	}()
	return b, nil
}

// Addr returns where mail is taken, host and port.
func (b *Inbox) Addr() string { return b.listener.Addr().String() }

// Close stops the inbox and waits for it. What came in stays readable.
func (b *Inbox) Close() error {
	err := b.server.Close()
	_ = b.listener.Close() // also when the server had not begun to serve it
	<-b.served
	return err
}

// SetDown makes the inbox refuse mails for the time being (451), until it is
// called with false.
func (b *Inbox) SetDown(down bool) { b.down.Store(down) }

// Mails returns what has come in, oldest first.
func (b *Inbox) Mails() []Mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.mails)
}

// Wait returns the n-th mail to an address, counted from 1 and from the start
// of the inbox, and waits for it until ctx ends.
func (b *Inbox) Wait(ctx context.Context, to string, n int) (Mail, error) {
	for {
		b.mu.Lock()
		news, seen := b.news, 0
		for _, m := range b.mails {
			if fold(m.To) != fold(to) {
				continue
			}
			if seen++; seen == n {
				b.mu.Unlock()
				return m, nil
			}
		}
		b.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return Mail{}, fmt.Errorf("waiting for mail %d to %s, %d came: %w", n, to, seen, ctx.Err())
		}
	}
}

func (b *Inbox) add(m Mail) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size+len(m.Raw) > maxInbox {
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "Inbox is full"}
	}
	m.Number = len(b.mails) + 1
	b.mails = append(b.mails, m)
	b.size += len(m.Raw)
	close(b.news)
	b.news = make(chan struct{})
	return nil
}

// session is one SMTP connection.
type session struct {
	inbox   *Inbox
	trusted bool // needs no login, or has given it
	from    string
	to      []string
}

func (s *session) AuthMechanisms() []string {
	if s.inbox.options.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.inbox.options.User || password != s.inbox.options.Password {
			return smtp.ErrAuthFailed
		}
		s.trusted = true
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.trusted {
		return smtp.ErrAuthRequired
	}
	if s.inbox.down.Load() {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Inbox is switched off"}
	}
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	_, domain, _ := strings.Cut(to, "@")
	if !slices.Contains(s.inbox.options.Domains, fold(domain)) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Not a sample address"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	for _, to := range s.to {
		m, err := parseMail(raw)
		if err != nil {
			return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "Not a mail"}
		}
		m.From, m.To, m.At = s.from, to, time.Now()
		if err := s.inbox.add(m); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }

var _ smtp.AuthSession = (*session)(nil)
