package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/locales"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// UnmarshalCaddyfile reads the global option:
//
//	password_reset {
//		store bbolt [<path>]
//		key   <base64 of 32 bytes>    # repeatable, newest first
//		mails <rate>|off
//		smtp  <host:port> { … }
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.Errf("the global `password_reset` takes a block and no `%s`", d.Val())
	}
	return options{
		"store": {usage: "store bbolt /var/lib/caddy/password_reset/reset.db", parse: guest(&a.StoreRaw, stores)},
		"key": {usage: "key {file./etc/caddy/reset.key}", many: true, parse: appended(&a.Keys, func(s string) error {
			_, err := sealed.ParseKey(s)
			return err
		})},
		"mails": {usage: "mails 50/1s", parse: rates(&a.Mails, parsePace)},
		"smtp":  {usage: smtpUsage, parse: smtp(&a.SMTP)},
	}.parse(d)
}

// UnmarshalCaddyfile reads:
//
//	password_reset {
//		path            <path>
//		base_url        <url>          # required
//		id              <name>
//		login_url       <path|url>
//		name            <name>
//		from            <address>      # required
//		reply_to        <address>
//		directory       webhook <url> { … } | file <path>    # required
//		target          webhook <url> { … }                  # required
//		webhook_secret  <secret>       # repeatable, newest first
//		link_ttl        <duration>
//		code_ttl        <duration>
//		password {
//			min_length  <n>
//			max_length  <n>
//			blocklist   <file>
//		}
//		limits {
//			per_account <rate...>|off
//			per_ip      <rate>|off
//		}
//		take_over       <pattern...>
//		change_password off|<path|url>
//		default_locale  <tag>
//		templates       <folder>
//		dialect         <name> { … }   # repeatable with other names
//		smtp            <host:port> { … }
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	at := here(d)
	if d.NextArg() {
		if strings.HasPrefix(d.Val(), "/") {
			return d.Errf("`password_reset` takes no path; use `path`")
		}
		return d.Errf("`password_reset` takes a block and no `%s`", d.Val())
	}
	known := h.options()
	if err := known.parse(d); err != nil {
		return err
	}
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"base_url", h.BaseURL == ""},
		{"from", h.From == ""},
		{"directory", h.DirectoryRaw == nil},
		{"target", h.TargetRaw == nil},
		{"webhook_secret", len(h.WebhookSecrets) == 0 && h.needsSecret()},
	} {
		if need.missing {
			return at.Errf("`%s` is missing in `password_reset`; write `%s`", need.name, known[need.name].usage)
		}
	}
	link := cmp.Or(time.Duration(h.LinkTTL), reset.DefaultLinkTTL)
	if err := checkTTLs(link, cmp.Or(time.Duration(h.CodeTTL), min(reset.DefaultCodeTTL, link))); err != nil {
		return at.WrapErr(err)
	}
	if err := h.checkWeb(); err != nil {
		return at.WrapErr(err)
	}
	return nil
}

// options are the words of a site's block.
func (h *Handler) options() options {
	return options{
		"path":      {usage: "path /password-reset", parse: text(&h.Path, asWeb(func(o *web.Options, s string) { o.Path = s }))},
		"base_url":  {usage: "base_url https://app.example.com", parse: text(&h.BaseURL, asWeb(func(o *web.Options, s string) { o.BaseURL = s }))},
		"id":        {usage: "id app.example.com", parse: text(&h.ID, checkID)},
		"login_url": {usage: "login_url /login", parse: text(&h.LoginURL, asWeb(func(o *web.Options, s string) { o.LoginURL = s }))},
		"name":      {usage: `name "Example"`, parse: text(&h.Name)},
		"from": {usage: `from "Example Support <support@example.com>"`, parse: text(&h.From, func(s string) error {
			return checkSender(s, "")
		})},
		"reply_to": {usage: "reply_to help@example.com", parse: text(&h.ReplyTo, func(s string) error {
			return checkSender("support@example.com", s)
		})},
		"directory": {usage: "directory webhook http://127.0.0.1:3000/hooks/lookup", parse: guest(&h.DirectoryRaw, directories)},
		"target":    {usage: "target webhook http://127.0.0.1:3000/hooks/password-changed", parse: guest(&h.TargetRaw, targets)},
		"webhook_secret": {usage: "webhook_secret {env.RESET_WEBHOOK_SECRET}", many: true, parse: appended(&h.WebhookSecrets, func(s string) error {
			_, err := webhookout.ParseSecret(s)
			return err
		})},
		"link_ttl": {usage: "link_ttl 30m", parse: duration(&h.LinkTTL)},
		"code_ttl": {usage: "code_ttl 10m", parse: duration(&h.CodeTTL)},
		"password": {usage: "password {", parse: func(d *caddyfile.Dispenser) error {
			h.Password = new(Password)
			at := here(d)
			err := onlyBlock(d, options{
				"min_length": {usage: "min_length 15", parse: count(&h.Password.MinLength)},
				"max_length": {usage: "max_length 128", parse: count(&h.Password.MaxLength)},
				"blocklist":  {usage: "blocklist /etc/caddy/company-words.txt", parse: text(&h.Password.Blocklist)},
			})
			if err != nil {
				return err
			}
			_, err = passwords.New(passwords.Options{MinLength: h.Password.MinLength, MaxLength: h.Password.MaxLength})
			if err != nil {
				return at.WrapErr(err)
			}
			return nil
		}},
		"limits": {usage: "limits {", parse: func(d *caddyfile.Dispenser) error {
			h.Limits = new(Limits)
			return onlyBlock(d, options{
				"per_account": {usage: "per_account 1/1m 5/1h 10/24h", parse: rates(&h.Limits.PerAccount, parseWindows)},
				"per_ip":      {usage: "per_ip 20/1h", parse: rates(&h.Limits.PerIP, parseWindow)},
			})
		}},
		"take_over":       {usage: "take_over /users/forgot* /lost-password", many: true, parse: texts(&h.TakeOver, asWeb(func(o *web.Options, s string) { o.TakeOver = []string{s} }))},
		"change_password": {usage: "change_password off", parse: text(&h.ChangePassword, asWeb(func(o *web.Options, s string) { o.ChangePassword = s }))},
		"default_locale": {usage: "default_locale en", parse: text(&h.DefaultLocale, func(s string) error {
			_, err := locales.Lookup(s)
			return err
		})},
		"templates": {usage: "templates /etc/caddy/reset-templates", parse: text(&h.Templates)},
		"dialect":   {usage: "dialect <name> {", many: true, parse: dialects(&h.Dialects)},
		"smtp":      {usage: smtpUsage, parse: smtp(&h.SMTP)},
	}
}

// needsSecret reports whether one of the guests is a built-in one that signs.
func (h *Handler) needsSecret() bool {
	for _, raw := range []json.RawMessage{h.DirectoryRaw, h.TargetRaw} {
		var g struct{ Module string }
		if json.Unmarshal(raw, &g) == nil && g.Module == "webhook" {
			return true
		}
	}
	return false
}

// checkWeb judges settings that depend on each other, such as `take_over`
// under the path of `base_url`, if all of them are known while parsing.
func (h *Handler) checkWeb() error {
	all := append([]string{h.BaseURL, h.Path, h.LoginURL, h.Name, h.DefaultLocale, h.ChangePassword}, h.TakeOver...)
	if hasPlaceholder(strings.Join(all, "")) {
		return nil
	}
	_, err := web.New(web.Options{
		BaseURL:        h.BaseURL,
		Path:           h.Path,
		LoginURL:       h.LoginURL,
		Name:           h.Name,
		DefaultLocale:  h.DefaultLocale,
		ChangePassword: h.ChangePassword,
		TakeOver:       h.TakeOver,
		Open:           neverOpen,
	})
	return err
}

// asWeb judges one setting as package web will.
func asWeb(set func(*web.Options, string)) func(string) error {
	return func(s string) error {
		o := web.Options{BaseURL: "https://app.example.com", Open: neverOpen}
		set(&o, s)
		_, err := web.New(o)
		return err
	}
}

func neverOpen(context.Context) (web.Site, func(), error) {
	return nil, nil, errors.New("not provisioned")
}

// checkSender judges From and Reply-To as package letters will.
func checkSender(from, replyTo string) error {
	_, err := letters.New(letters.Options{From: from, ReplyTo: replyTo, SiteName: "Example", Host: "app.example.com"})
	return err
}

const smtpUsage = "smtp mail.example.com:587"

func smtp(to **SMTP) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		*to = new(SMTP)
		return (*to).unmarshal(d)
	}
}

// guest reads the name of a guest module and hands it the rest.
func guest(raw *json.RawMessage, namespace string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		name, err := value(d)
		if err != nil {
			return err
		}
		id := namespace + "." + name
		if _, err := caddy.GetModule(id); err != nil {
			return misused("there is no %s `%s`, but: %s", option, name, strings.Join(guestNames(namespace), ", "))
		}
		module, err := caddyfile.UnmarshalModule(d, id)
		if err != nil {
			return err
		}
		*raw = caddyconfig.JSONModuleObject(module, "module", name, nil)
		return nil
	}
}

func guestNames(namespace string) []string {
	var names []string
	for _, m := range caddy.GetModules(namespace) {
		names = append(names, m.ID.Name())
	}
	return names
}

// onlyBlock reads a word that is followed by nothing but its block.
func onlyBlock(d *caddyfile.Dispenser, o options) error {
	word := d.Val()
	if d.NextArg() {
		return d.Errf("`%s` takes a block and no `%s`", word, d.Val())
	}
	return o.parse(d)
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
)
