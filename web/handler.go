// Package web is the HTTP face of password reset, without Caddy: which
// requests are ours, what is read from them, and what is answered.
//
// It promises:
//
//   - A request is ours or it is not, by [Handler.Route]. What is ours is
//     always answered here, errors and panics included; nothing that an app
//     could take for one of our routes, or for a reset route of its own that is
//     taken over, is passed on.
//   - The answer to asking for a mail is the same for every login, but for the
//     reference.
//   - GET, HEAD and scripts change nothing. Only a POST does, one that no other
//     site can send in a browser (Fetch Metadata, Origin).
//   - A dead token of any kind, unknown, malformed, expired, used or cancelled,
//     gets one and the same answer, 410 Gone.
//   - Every answer carries the security headers and may not be stored; every
//     page works without scripts.
//   - No token, code, password or login is logged, put in a redirect, or sent
//     back in an answer that does not need it. Links are made from the
//     configured address only, never from a request.
//
// Input is strict: a field stands in the body, exactly once, as text in UTF-8
// under its exact name, in a body of at most 16 KiB that is an HTML form or one
// JSON object. Unknown fields are ignored, and nothing is ever read from the
// query.
//
// A [Dialect] answers as another back end did: its statuses and forms, what its
// methods do, and where it reads its input are its own. All else holds for it
// too.
//
// The caller passes on the path as the visitor sent it (not rewritten, no
// prefix stripped), decides which address the client has, keeps the URLs of our
// routes out of its own logs, as any may hold a token, and sees to it that
// forms travel over HTTPS: behind a proxy this package cannot tell.
package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/locales"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	defaultPath   = "/password-reset"
	defaultLocale = "en"
)

// A Handler answers the requests of one site. It is safe for concurrent use.
type Handler struct {
	origin    string // scheme and host of the base URL
	host      string // host of the base URL, with its port
	prefix    string // path of all routes as it is linked: base URL's path + Path
	routes    []byte // prefix as it is compared: ASCII-folded
	takeOver  []pattern
	speakers  []*speaker // of the dialects
	wellKnown string     // target of /.well-known/change-password, "" if not ours

	name     string
	loginURL string
	locale   string
	linkTTL  time.Duration
	codeTTL  time.Duration

	cookie  cookieJar
	pages   *pages
	foreign *http.CrossOriginProtection
	open    func(ctx context.Context) (Site, func(), error)
	log     *slog.Logger
	faults  occasional
}

// Site is what a request needs of the domain; *reset.Site implements it.
// Errors are those of package reset; any other counts as
// [reset.ErrUnavailable].
type Site interface {
	// Request notes that somebody forgot a password. Neither the answer nor
	// the time it takes depends on whether an account exists.
	Request(ctx context.Context, r reset.Request) (reference string, err error)

	// Find tells what Request would lead to. Only a [Call] that is trusted
	// asks.
	Find(ctx context.Context, r reset.Request) (reset.Finding, error)

	// Look tells what a token opens. It writes nothing.
	Look(ctx context.Context, token string, ip netip.Addr) (reset.Grant, error)

	// Code exchanges a code for a short-lived token of the same grant.
	Code(ctx context.Context, c reset.CodeEntry) (token string, err error)

	// Change sets a new password. It waits some seconds for the app. A token
	// that opens nothing is reported before anything about the password.
	Change(ctx context.Context, n reset.NewPassword) (reset.Result, error)

	// LookCancel returns nil if a "this wasn't me" token is live. It writes
	// nothing.
	LookCancel(ctx context.Context, token string, ip netip.Addr) error

	// Cancel ends the grant that a "this wasn't me" token belongs to.
	Cancel(ctx context.Context, token string, ip netip.Addr) error

	// Rules are the rules for a new password.
	Rules() passwords.Rules

	// Key derives a key for one purpose, the same after a restart.
	Key(purpose string) [32]byte
}

// Options configure a [Handler].
type Options struct {
	// BaseURL is the public address of the site, https://host[:port][/path].
	// Required. All links are made from it. Plain http is accepted for
	// localhost, 127.0.0.0/8 and [::1] only.
	BaseURL string

	// Path is where the routes live, under the path of BaseURL: with BaseURL
	// https://example.com/app and the default the form is at
	// /app/password-reset, and requests have to arrive with that path.
	// Default: /password-reset.
	Path string

	// LoginURL is where a person signs in afterwards: a path, or an absolute
	// address under the rules for BaseURL. Default: BaseURL.
	LoginURL string

	// Name is what people call the site. Default: the host of BaseURL.
	Name string

	// DefaultLocale is the language for browsers that ask for none that there
	// is. Default: en.
	DefaultLocale string

	// TakeOver are the app's own reset paths, as Caddy path patterns: a * at
	// the start or end stands for anything, one in the middle for anything
	// but a slash. They are compared without regard to ASCII case and include
	// the path of BaseURL. Requests to them are redirected to our form.
	TakeOver []string

	// ChangePassword is where /.well-known/change-password leads: "" to our
	// form, "off" leaves that path to the app, anything else is a path or an
	// absolute address as in LoginURL.
	ChangePassword string

	// Dialects are the contracts of other back ends that are spoken, by the
	// names that operators know them by.
	Dialects map[string]Dialect

	// LinkTTL and CodeTTL are the lives of link and code as people are told.
	// Defaults: [reset.DefaultLinkTTL], and [reset.DefaultCodeTTL] but no more
	// than LinkTTL.
	LinkTTL, CodeTTL time.Duration

	// Templates replaces built-in pages by files of the same name: layout.html,
	// ask.html, sent.html, new.html, done.html, pending.html, cancel.html,
	// cancelled.html, link.html (any dead link), error.html, style.css,
	// script.js. They are html/template files executed with a [Page] and
	// tried out by New. Images may come from the site itself or stand in
	// data: URLs; nothing else may be loaded. Files of other names than
	// [TemplateNames] are left alone: letters may lie there too. Nil: only
	// built-in pages.
	Templates fs.FS

	// Logger gets faults, never anything from a request. Default: none.
	Logger *slog.Logger

	// Open gives the domain for one request; release is called at its end.
	// Required. An error makes the answer 503 and is logged.
	Open func(ctx context.Context) (site Site, release func(), err error)
}

// New checks the options and parses all pages. Its errors say which option is
// wrong, and name the file where a template is.
func New(o Options) (*Handler, error) {
	if o.Open == nil {
		return nil, errors.New("web: Options.Open is missing")
	}
	base, err := parseBaseURL(o.BaseURL)
	if err != nil {
		return nil, err
	}
	path, err := parsePath(cmp.Or(o.Path, defaultPath))
	if err != nil {
		return nil, err
	}
	h := &Handler{
		origin:  base.Scheme + "://" + base.Host,
		host:    base.Host,
		prefix:  strings.TrimSuffix(base.Path, "/") + path,
		name:    cmp.Or(o.Name, base.Hostname()),
		linkTTL: cmp.Or(o.LinkTTL, reset.DefaultLinkTTL),
		cookie:  newCookieJar(base.Scheme == "https"),
		foreign: http.NewCrossOriginProtection(),
		open:    o.Open,
		log:     o.Logger,
	}
	h.codeTTL = cmp.Or(o.CodeTTL, min(reset.DefaultCodeTTL, h.linkTTL))
	h.routes = fold([]byte(h.prefix))
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if err := h.foreign.AddTrustedOrigin(h.origin); err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	h.locale = cmp.Or(o.DefaultLocale, defaultLocale)
	if _, err := locales.Lookup(h.locale); err != nil {
		return nil, fmt.Errorf("default_locale: %w", err)
	}
	h.loginURL = cmp.Or(o.LoginURL, h.origin+cmp.Or(base.Path, "/"))
	if err := checkTarget(h.loginURL); err != nil {
		return nil, fmt.Errorf("login_url %q: %w", o.LoginURL, err)
	}
	switch o.ChangePassword {
	case "":
		h.wellKnown = h.prefix
	case "off":
	default:
		h.wellKnown = o.ChangePassword
		if err := checkTarget(h.wellKnown); err != nil {
			return nil, fmt.Errorf("change_password %q: %w", h.wellKnown, err)
		}
	}
	if h.takeOver, err = h.parsePatterns(o.TakeOver); err != nil {
		return nil, err
	}
	if err := h.parseDialects(o.Dialects); err != nil {
		return nil, err
	}
	if h.pages, err = parsePages(o.Templates); err != nil {
		return nil, err
	}
	return h, h.rehearse()
}

// Link returns the address of the page where the holder of a link token
// chooses a new password: the dialect's, if it has one, else ours.
func (h *Handler) Link(dialect, token string) string {
	if link := h.linkOf(dialect, token); link != "" {
		return link
	}
	return h.AskLink() + "/link/" + token
}

// CancelLink returns the address of the "this wasn't me" page.
func (h *Handler) CancelLink(token string) string { return h.AskLink() + "/cancel/" + token }

// AskLink returns the address of the form where a person asks for a mail.
func (h *Handler) AskLink() string { return h.origin + h.prefix }
