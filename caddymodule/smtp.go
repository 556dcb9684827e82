package caddymodule

import (
	"errors"
	"log/slog"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

// SMTP is the mail server that takes our mails.
type SMTP struct {
	// Address is host:port. Required.
	Address string `json:"address,omitempty"`

	// TLS is starttls, implicit or off. Default: implicit on port 465, off
	// towards this machine if nobody signs in there, else starttls; starttls
	// means that nothing is sent without it. Off is refused towards other
	// machines, and with a username.
	TLS string `json:"tls,omitempty"`

	// Username is who signs in. Default: nobody does.
	Username string `json:"username,omitempty"`

	// Secret is the password or access token of Username; write {env.NAME} or
	// {file./path}, so that it does not stand in the configuration. A file is
	// read again for each connection.
	Secret string `json:"secret,omitempty"`

	// Mechanism is plain, login, xoauth2 or oauthbearer. Default: the best one
	// for a password that the server offers.
	Mechanism string `json:"mechanism,omitempty"`

	// TrustedCA is a file of PEM certificates that are trusted instead of
	// those of the system. Default: those of the system.
	TrustedCA string `json:"trusted_ca,omitempty"`

	// Hello is the name that we give ourselves. Default: the name of this
	// machine.
	Hello string `json:"hello,omitempty"`

	// Connections is how many are open at a time. Default: 4.
	Connections int `json:"connections,omitempty"`
}

// unmarshal reads:
//
//	smtp <host:port> {
//		tls         starttls|implicit|off
//		auth        <user> <secret>
//		mechanism   plain|login|xoauth2|oauthbearer
//		trusted_ca  <file>
//		hello       <name>
//		connections <n>
//	}
func (s *SMTP) unmarshal(d *caddyfile.Dispenser) error {
	var err error
	if s.Address, err = oneValue(d, smtpUsage); err != nil {
		return err
	}
	at := here(d)
	err = options{
		"tls":         {usage: "tls starttls|implicit|off", parse: choice(&s.TLS, "starttls", "implicit", "off")},
		"auth":        {usage: "auth reset@example.com {env.SMTP_PASSWORD}", parse: s.unmarshalAuth},
		"mechanism":   {usage: "mechanism plain|login|xoauth2|oauthbearer", parse: choice(&s.Mechanism, "plain", "login", "xoauth2", "oauthbearer")},
		"trusted_ca":  {usage: "trusted_ca /etc/ssl/private-ca.pem", parse: text(&s.TrustedCA)},
		"hello":       {usage: "hello sidecar.example.com", parse: text(&s.Hello)},
		"connections": {usage: "connections 4", parse: count(&s.Connections)},
	}.parse(d)
	if err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return at.Errf("smtp: %w", err)
	}
	return nil
}

func (s *SMTP) unmarshalAuth(d *caddyfile.Dispenser) error {
	if !d.Args(&s.Username, &s.Secret) || s.Username == "" || s.Secret == "" {
		return misused("`auth` takes a user and a secret")
	}
	return nil
}

// client connects nothing yet; it says what is wrong with the settings.
func (s SMTP) client(log *slog.Logger) (*smtpout.Client, error) {
	err := expandAll(map[string]*string{
		"address":    &s.Address,
		"username":   &s.Username,
		"trusted_ca": &s.TrustedCA,
		"hello":      &s.Hello,
	})
	if err != nil {
		return nil, err
	}
	o := smtpout.Options{
		Address:     s.Address,
		TLS:         s.TLS,
		TrustedCA:   s.TrustedCA,
		Hello:       s.Hello,
		Connections: s.Connections,
		User:        s.Username,
		Mechanism:   s.Mechanism,
		Logger:      log,
	}
	if s.Secret != "" {
		warnInClear(log, "smtp auth", s.Secret)
		if _, err := expandSecret("secret", s.Secret); err != nil {
			return nil, err
		}
		// Access tokens change while Caddy runs, and passwords are rotated.
		o.Secret = func() (string, error) { return expandSecret("secret", s.Secret) }
	}
	return smtpout.New(o)
}

// check judges the settings that are known while parsing.
func (s SMTP) check() error {
	if hasPlaceholder(s.Address) || hasPlaceholder(s.Hello) {
		return nil
	}
	s.TrustedCA = "" // a file of the machine that will run it
	if s.Username != "" {
		s.Username, s.Secret = "user", "secret"
	}
	client, err := s.client(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	client.Close()
	return nil
}

var errNoSMTP = errors.New("there is no mail server: write `smtp mail.example.com:587 { … }` in this block or in the global `password_reset` block")
