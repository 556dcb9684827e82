package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/directory"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// defaultTimeout bounds one exchange with the app. A person waits about that
// long for the outcome.
const defaultTimeout = 5 * time.Second

// maxTimeout keeps a hook that hangs from holding an account for minutes.
const maxTimeout = 30 * time.Second

// Webhook is an HTTP endpoint of the app. Each message to it is signed with
// the site's `webhook_secret` as Standard Webhooks 1.0.0 has it.
type Webhook struct {
	// URL is where the endpoint is: https:// anywhere, http:// on this machine,
	// or unix//run/app.sock:/hooks/path for a socket. It should not be
	// reachable from outside. Required.
	URL string `json:"url,omitempty"`

	// Timeout bounds one exchange, from connecting to the last byte of the
	// answer. Default: 5s; at most 30s. A lookup ends after 15s in any case.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// TrustedCA is a file of PEM certificates that are trusted instead of
	// those of the system. Default: those of the system.
	TrustedCA string `json:"trusted_ca,omitempty"`

	// InsecureHTTP allows http:// to other machines, at private and link-local
	// addresses only. Passwords then cross that network in clear.
	InsecureHTTP bool `json:"insecure_http,omitempty"`
}

// options are the words of the block.
func (w *Webhook) options() options {
	return options{
		"timeout":       {usage: "timeout 5s", parse: duration(&w.Timeout)},
		"trusted_ca":    {usage: "trusted_ca /etc/ssl/private-ca.pem", parse: text(&w.TrustedCA)},
		"insecure_http": {usage: "insecure_http", parse: flag(&w.InsecureHTTP)},
	}
}

// unmarshal reads "webhook URL {...}".
func (w *Webhook) unmarshal(d *caddyfile.Dispenser, usage string, o options) error {
	d.Next()
	var err error
	if w.URL, err = oneValue(d, usage); err != nil {
		return err
	}
	at := here(d)
	if err := o.parse(d); err != nil {
		return err
	}
	if hasPlaceholder(w.URL) {
		return nil
	}
	if err := w.check(); err != nil {
		return at.WrapErr(err)
	}
	return nil
}

// client connects nothing yet; it says what is wrong with the settings.
func (w *Webhook) client(s Site) (*webhookout.Client, error) {
	if len(s.Secrets) == 0 {
		return nil, errors.New("webhook_secret is missing: write `webhook_secret {env.RESET_WEBHOOK_SECRET}`, and give the app the same secret")
	}
	url, errURL := expand("url", w.URL)
	ca, errCA := expand("trusted_ca", w.TrustedCA)
	if err := errors.Join(errURL, errCA); err != nil {
		return nil, err
	}
	if err := checkSpan("timeout", w.timeout(), maxTimeout); err != nil {
		return nil, err
	}
	return webhookout.New(webhookout.Options{
		URL:          url,
		Secrets:      s.Secrets,
		Timeout:      w.timeout(),
		TrustedCA:    ca,
		InsecureHTTP: w.InsecureHTTP,
		// No attempt waits for a connection while its time runs.
		Connections: reset.MaxAttempts,
		Logger:      s.Logger,
	})
}

func (w *Webhook) timeout() time.Duration {
	return cmp.Or(time.Duration(w.Timeout), defaultTimeout)
}

// check judges the settings that are known while parsing.
func (w *Webhook) check() error {
	const any24Bytes = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	secret, err := webhookout.ParseSecret(any24Bytes)
	if err != nil {
		return err
	}
	known := *w
	known.TrustedCA = "" // a file of the machine that will run it
	client, err := known.client(Site{Secrets: []webhookout.Secret{secret}})
	if err != nil {
		return err
	}
	client.Close()
	return nil
}

// WebhookDirectory finds accounts by asking the app.
type WebhookDirectory struct {
	Webhook
}

// CaddyModule returns the Caddy module information.
func (*WebhookDirectory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: directories + ".webhook", New: func() caddy.Module { return new(WebhookDirectory) }}
}

// UnmarshalCaddyfile reads:
//
//	directory webhook <url> {
//		timeout       <duration>
//		trusted_ca    <file>
//		insecure_http
//	}
func (w *WebhookDirectory) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return w.unmarshal(d, "directory webhook http://127.0.0.1:3000/hooks/lookup", w.options())
}

// OpenDirectory implements [DirectoryOpener].
func (w *WebhookDirectory) OpenDirectory(s Site) (reset.Directory, error) {
	client, err := w.client(s)
	if err != nil {
		return nil, err
	}
	return &directory.Webhook{Client: client, Site: s.ID}, nil
}

// WebhookTarget hands changes to the app.
type WebhookTarget struct {
	Webhook

	// PasswordFormat is what the app gets: plain, the password as it was
	// typed; or bcrypt or argon2id, a hash made here that the app stores as it
	// is. Default: plain.
	PasswordFormat string `json:"password_format,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*WebhookTarget) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: targets + ".webhook", New: func() caddy.Module { return new(WebhookTarget) }}
}

// UnmarshalCaddyfile reads:
//
//	target webhook <url> {
//		timeout         <duration>
//		trusted_ca      <file>
//		insecure_http
//		password_format plain|bcrypt|argon2id
//	}
func (w *WebhookTarget) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	o := w.options()
	o["password_format"] = option{
		usage: "password_format plain|bcrypt|argon2id",
		parse: choice(&w.PasswordFormat, "plain", "bcrypt", "argon2id"),
	}
	return w.unmarshal(d, "target webhook http://127.0.0.1:3000/hooks/password-changed", o)
}

// OpenTarget implements [TargetOpener].
func (w *WebhookTarget) OpenTarget(s Site) (Target, error) {
	client, err := w.client(s)
	if err != nil {
		return Target{}, err
	}
	t := Target{Target: &webhookout.Target{Client: client, Site: s.ID}, Timeout: w.timeout()}
	if w.PasswordFormat != "" && w.PasswordFormat != "plain" {
		if t.Hasher, err = passwords.NewHasher(w.PasswordFormat); err != nil {
			return Target{}, fmt.Errorf("password_format: %w, or plain", err)
		}
	}
	if w.PasswordFormat == "bcrypt" {
		// bcrypt looks at no more: what follows would be no part of the
		// password.
		t.MaxBytes = passwords.BcryptMaxBytes
	}
	return t, nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*WebhookDirectory)(nil)
	_ caddyfile.Unmarshaler = (*WebhookTarget)(nil)
	_ DirectoryOpener       = (*WebhookDirectory)(nil)
	_ TargetOpener          = (*WebhookTarget)(nil)
)
