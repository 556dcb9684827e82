package caddymodule

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// smallest is what an operator without the global block has to write.
const smallest = `{
	password_reset {
		smtp mail.example.com:587 {
			auth reset@example.com {env.SMTP_PASSWORD}
		}
	}
}`

var errNoApp = errors.New("the global `password_reset` block is missing; at the top of the Caddyfile write at least\n" + smallest)

// A site is what all handlers with one `base_url` share.
type site struct {
	config       reset.SiteConfig
	web          *web.Handler
	lines        *requestLog
	settings     []byte // JSON of the handler that it was made from
	baseURL      string
	from         string // sender of the mails
	mailer       *smtpout.Client
	sharesMailer bool // it is that of the app
}

// close closes idle connections.
func (s *site) close() {
	closeAdapter(s.config.Directory)
	closeAdapter(s.config.Target)
	if s.mailer != nil && !s.sharesMailer {
		s.mailer.Close()
	}
}

// site returns the site that a handler describes. Handlers with the same
// settings, as from a snippet imported twice, get the same one.
func (a *App) site(ctx caddy.Context, h *Handler) (*site, error) {
	settings, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.sites {
		if bytes.Equal(s.settings, settings) {
			return s, nil
		}
	}
	s, err := a.newSite(ctx, *h)
	if err != nil {
		return nil, err
	}
	s.settings = settings
	for id, other := range a.sites {
		if id == s.config.ID || other.baseURL == s.baseURL {
			s.close()
			return nil, fmt.Errorf("two `password_reset` blocks differ, and both are for one site: id %q with base_url %s, and id %q with base_url %s; make them equal, or give each its own `id` and `base_url`",
				id, other.baseURL, s.config.ID, s.baseURL)
		}
	}
	a.sites[s.config.ID] = s
	return s, nil
}

// newSite makes the adapters of a site. Its errors name the site.
func (a *App) newSite(ctx caddy.Context, h Handler) (s *site, err error) {
	if err := h.expand(); err != nil {
		return nil, fmt.Errorf("site %s: %w", cmp.Or(h.ID, h.BaseURL), err)
	}
	base, err := url.Parse(h.BaseURL)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("base_url %q: an address like https://app.example.com is required", h.BaseURL)
	}
	id := cmp.Or(h.ID, siteID(base))
	if err := checkID(id); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("site %s: %w", id, err)
		}
	}()
	a.meters.Store(id, meterOf(id))
	log := a.counting(ctx.Slogger()).With("site", id)
	s = &site{
		baseURL: strings.TrimSuffix(h.BaseURL, "/"),
		from:    h.From,
		lines:   newRequestLog(log),
		config: reset.SiteConfig{
			ID:      id,
			LinkTTL: cmp.Or(time.Duration(h.LinkTTL), reset.DefaultLinkTTL),
		},
	}
	s.config.CodeTTL = cmp.Or(time.Duration(h.CodeTTL), min(reset.DefaultCodeTTL, s.config.LinkTTL))
	if err := checkTTLs(s.config.LinkTTL, s.config.CodeTTL); err != nil {
		return nil, err
	}
	if err := h.limits(&s.config); err != nil {
		return nil, err
	}
	templates, err := h.templates()
	if err != nil {
		return nil, err
	}
	spoken, err := h.speak(log)
	if err != nil {
		return nil, err
	}

	s.web, err = web.New(web.Options{
		BaseURL:        h.BaseURL,
		Path:           h.Path,
		LoginURL:       h.LoginURL,
		Name:           h.Name,
		DefaultLocale:  h.DefaultLocale,
		TakeOver:       h.TakeOver,
		ChangePassword: h.ChangePassword,
		Dialects:       spoken,
		LinkTTL:        s.config.LinkTTL,
		CodeTTL:        s.config.CodeTTL,
		Templates:      templates,
		Logger:         log,
		Open: func(ctx context.Context) (web.Site, func(), error) {
			site, release, err := a.open(ctx, id)
			if err != nil {
				return nil, nil, err
			}
			return site, release, nil
		},
	})
	if err != nil {
		return nil, err
	}
	s.config.Links = s.web
	logNotes(s.web.Contracts(), log)

	s.config.Composer, err = letters.New(letters.Options{
		From:          h.From,
		ReplyTo:       h.ReplyTo,
		SiteName:      cmp.Or(h.Name, base.Hostname()),
		Host:          base.Hostname(),
		DefaultLocale: h.DefaultLocale,
		Templates:     templates,
		Wordings:      wordings(s.web.Contracts()),
	})
	if err != nil {
		return nil, err
	}
	if err := h.adapters(ctx, a, s, base); err != nil {
		return nil, err
	}
	return s, nil
}

// adapters plugs in what talks to the world.
func (h *Handler) adapters(ctx caddy.Context, a *App, s *site, base *url.URL) error {
	about := Site{ID: s.config.ID, Name: cmp.Or(h.Name, base.Hostname()), Logger: a.counting(ctx.Slogger()).With("site", s.config.ID)}
	for i, w := range h.WebhookSecrets {
		warnInClear(about.Logger, "webhook_secret", w)
		text, err := expandSecret("webhook_secret", w)
		if err != nil {
			return err
		}
		secret, err := webhookout.ParseSecret(text)
		if err != nil {
			return fmt.Errorf("webhook_secret number %d: %w", i+1, err)
		}
		about.Secrets = append(about.Secrets, secret)
	}

	found, err := loadGuest[DirectoryOpener](ctx, h, "DirectoryRaw", h.DirectoryRaw, "directory")
	if err != nil {
		return err
	}
	if s.config.Directory, err = found.OpenDirectory(about); err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	applied, err := loadGuest[TargetOpener](ctx, h, "TargetRaw", h.TargetRaw, "target")
	if err != nil {
		return err
	}
	target, err := applied.OpenTarget(about)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	s.config.Target = target.Target
	s.config.Hasher = target.Hasher
	s.config.AttemptTimeout = target.Timeout

	if s.config.Passwords, err = h.policy(target.MaxBytes, about.Name, base.Hostname()); err != nil {
		return err
	}
	switch {
	case h.SMTP != nil:
		if s.mailer, err = h.SMTP.client(about.Logger); err != nil {
			return fmt.Errorf("smtp: %w", err)
		}
	case a.mailer == nil:
		return errNoSMTP
	default:
		s.mailer, s.sharesMailer = a.mailer, true
	}
	s.config.Mailer = s.mailer
	return nil
}

func loadGuest[T any](ctx caddy.Context, h *Handler, field string, raw json.RawMessage, option string) (T, error) {
	var none T
	if raw == nil {
		return none, fmt.Errorf("`%s` is missing", option)
	}
	module, err := ctx.LoadModule(h, field)
	if err != nil {
		return none, fmt.Errorf("%s: %w", option, err)
	}
	guest, ok := module.(T)
	if !ok {
		return none, fmt.Errorf("%s: the module %s does not implement %s; name another one, or tell its author",
			option, module.(caddy.Module).CaddyModule().ID, reflect.TypeFor[T]().Name())
	}
	return guest, nil
}

// siteID names a site by host, port and path of its base URL. Case and a
// slash at the end do not make another site, nor does the port that the
// scheme has anyway.
func siteID(base *url.URL) string {
	host := reset.Fold(base.Host)
	switch base.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return host + strings.TrimSuffix(base.Path, "/")
}
