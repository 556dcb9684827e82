package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// Handler gives one site a "forgot my password": the form, the mail, the page
// for the new password, and the hand-over to the app. It needs the app
// password_reset.
//
// Of the site's requests it answers those under `path`, those taken over, those
// in a dialect, and /.well-known/change-password; all others go on to the next
// handler. It has to see the path as the visitor sent it, so in the Caddyfile it
// is ordered before `method`, ahead of everything that rewrites.
type Handler struct {
	// ID names what is stored for the site. Set it to the old value when
	// `base_url` changes, or open links and queued mails are lost. Default:
	// host, port and path of `base_url`.
	ID string `json:"id,omitempty"`

	// Path is where the pages are, under the path of `base_url`. Default:
	// /password-reset.
	Path string `json:"path,omitempty"`

	// BaseURL is the public address of the site; all links are made from it,
	// never from a request. https, or http on this machine. Required.
	BaseURL string `json:"base_url,omitempty"`

	// LoginURL is where people sign in: a path or an address. Default:
	// `base_url`.
	LoginURL string `json:"login_url,omitempty"`

	// Name is what people call the site. Default: the host of `base_url`.
	Name string `json:"name,omitempty"`

	// From is the sender of the mails, with or without a name. Required.
	From string `json:"from,omitempty"`

	// ReplyTo is where answers to the mails go. Default: `from`.
	ReplyTo string `json:"reply_to,omitempty"`

	// DirectoryRaw is where accounts are looked up: webhook or file. Required.
	DirectoryRaw json.RawMessage `json:"directory,omitempty" caddy:"namespace=password_reset.directories inline_key=module"`

	// TargetRaw is what applies a new password: webhook. Required.
	TargetRaw json.RawMessage `json:"target,omitempty" caddy:"namespace=password_reset.targets inline_key=module"`

	// WebhookSecrets sign lookups and changes, all of them, so that the app
	// may know any one while they are rotated. whsec_ and base64 of 24 to 64
	// bytes, newest first. Write {env.NAME} or {file./path}.
	WebhookSecrets []string `json:"webhook_secrets,omitempty"`

	// LinkTTL is how long a link works. Default: 30m; at most 24h.
	LinkTTL caddy.Duration `json:"link_ttl,omitempty"`

	// CodeTTL is how long a code works. Default: 10m; at most `link_ttl`.
	CodeTTL caddy.Duration `json:"code_ttl,omitempty"`

	// Password is what a new password must satisfy.
	Password *Password `json:"password,omitempty"`

	// Limits bound how often people may ask.
	Limits *Limits `json:"limits,omitempty"`

	// TakeOver are the app's own reset paths, as Caddy path patterns without
	// regard to case. They never reach the app and lead to our form.
	TakeOver []string `json:"take_over,omitempty"`

	// ChangePassword is where /.well-known/change-password leads: a path or an
	// address, or off to leave it to the app. Default: our form.
	ChangePassword string `json:"change_password,omitempty"`

	// DefaultLocale is the language for those who ask for none that there is.
	// Default: en.
	DefaultLocale string `json:"default_locale,omitempty"`

	// Templates is a folder with files that replace built-in pages and
	// letters of the same name. Default: none.
	Templates string `json:"templates,omitempty"`

	// Dialects are the reset APIs of other back ends that are spoken besides
	// ours, by name, each with its options: an empty object for the defaults.
	// docs/dialects.md lists both. Default: none.
	Dialects map[string]json.RawMessage `json:"dialects,omitempty"`

	// SMTP is the mail server of this site. Default: that of the app.
	SMTP *SMTP `json:"smtp,omitempty"`

	site *site
}

// Password is what a new password must satisfy.
type Password struct {
	// MinLength is the shortest one, in characters. Default: 15, what NIST SP
	// 800-63B-4 asks where the password is the only factor; at least 8.
	MinLength int `json:"min_length,omitempty"`

	// MaxLength is the longest one, in characters. Default: 128; at least 64.
	MaxLength int `json:"max_length,omitempty"`

	// Blocklist is a file with words that must not be a password, one a line,
	// besides the common ones. Default: none.
	Blocklist string `json:"blocklist,omitempty"`
}

// Limits bound how often people may ask.
type Limits struct {
	// PerAccount are the mails that one account may cause, such as
	// "1/1m 5/1h 10/24h", or off. What goes beyond is dropped without a word.
	// Default: 1/1m 5/1h 10/24h.
	PerAccount string `json:"per_account,omitempty"`

	// PerIP is how often one client address, or /64 of IPv6, may ask, such as
	// 20/1h, or off. Reading mails and typing codes have larger limits in
	// proportion. Default: 20/1h.
	PerIP string `json:"per_ip,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.password_reset", New: func() caddy.Module { return new(Handler) }}
}

// Provision implements [caddy.Provisioner].
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	defer asError(ctx, &err)
	loaded, err := ctx.AppIfConfigured("password_reset")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return fmt.Errorf("%w (%w)", errNoApp, err)
	}
	if err != nil {
		return err // it names the setting of the global block that is wrong
	}
	h.site, err = loaded.(*App).site(ctx, h)
	return err
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler]. It returns an error only
// if the next handler does.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	route, ours := h.site.web.Route(r)
	if !ours {
		return next.ServeHTTP(w, r)
	}
	// Caddy's access log holds the URI and the Referer, one of which may hold
	// a token on any of our routes, as an app's own reset links do on those
	// taken over. It is replaced by a line of our own.
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)

	ip := clientIP(r)
	h.site.lines.warnOfProxy(r)
	began := time.Now()
	rec := caddyhttp.NewResponseRecorder(w, nil, nil)
	var told web.Answer
	route = route.Telling(&told)
	showPlaceholders(r, route.Name(), &told)
	h.site.web.ServeHTTP(rec, r, route, ip)
	h.site.lines.line(r, ip, rec.Status(), time.Since(began),
		append([]any{"route", route.Name(), "outcome", string(told.Outcome)}, route.LogAttrs()...)...)
	return nil
}

// showPlaceholders lets other handlers and headers read what the request is and came
// to, by placeholders that are empty as long as that is not known. None tells
// whether a login has an account.
func showPlaceholders(r *http.Request, route string, told *web.Answer) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	repl.Map(func(key string) (any, bool) {
		switch key {
		case "http.password_reset.route":
			return route, true
		case "http.password_reset.outcome":
			return string(told.Outcome), true
		case "http.password_reset.reference":
			return told.Reference, true
		}
		return nil, false
	})
}

// clientIP is the address of the visitor as Caddy knows it, behind proxies
// that the operator trusts. Through a unix socket there is none.
func clientIP(r *http.Request) netip.Addr {
	s, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
