package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// directive is the name of the directive and of the global option.
const directive = "password_reset"

func init() {
	httpcaddyfile.RegisterGlobalOption(directive, parseGlobal)
	httpcaddyfile.RegisterDirective(directive, parseDirective)
	// After redir, so that a visitor is on the right host first; before
	// rewrite, uri, try_files and basic_auth, so that the handler sees the
	// path as it was sent and nobody needs a password to reset one.
	httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.Before, "method")
}

// parseGlobal reads the global option.
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	if existing != nil {
		return nil, d.Errf("there is a global `password_reset` block already; keep one of the two")
	}
	return httpcaddyfile.App{Name: directive, Value: caddyconfig.JSON(app, nil)}, nil
}

// parseDirective reads the directive with its matcher: `*`, a named one, or
// none. A path would be taken for a matcher that lets only this very path
// through, and the pages below it would go to the app.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next()
	if h.NextArg() && strings.HasPrefix(h.Val(), "/") {
		return nil, h.Errf("`password_reset` takes no path; use `path`")
	}
	h.Reset()
	h.Next()
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	h.Reset()
	h.Next()
	if err := checkApp(h, handler); err != nil {
		return nil, err
	}
	if err := checkTwin(h, handler); err != nil {
		return nil, err
	}
	return h.NewRoute(matcher, handler), nil
}

// checkApp looks for what the site needs in the global block.
func checkApp(h httpcaddyfile.Helper, handler *Handler) error {
	global, ok := h.Option(directive).(httpcaddyfile.App)
	if !ok {
		return h.WrapErr(errNoApp)
	}
	var app App
	if err := json.Unmarshal(global.Value, &app); err != nil {
		return h.WrapErr(err)
	}
	if app.SMTP == nil && handler.SMTP == nil {
		return h.WrapErr(errNoSMTP)
	}
	return nil
}

// A twin is a block that was read before.
type twin struct {
	place    string
	settings []byte
}

// checkTwin refuses two blocks for one site that differ. Equal ones, as from a
// snippet imported twice, share the site.
func checkTwin(h httpcaddyfile.Helper, handler *Handler) error {
	settings, err := json.Marshal(handler)
	if err != nil {
		return h.WrapErr(err)
	}
	key := directive + " " + strings.TrimSuffix(handler.BaseURL, "/")
	if other, ok := h.State[key].(twin); ok && !bytes.Equal(other.settings, settings) {
		return h.Errf("this `password_reset` block and the one at %s differ, and both are for %s; make them equal (a snippet and `import` help), or give each its own `base_url`",
			other.place, handler.BaseURL)
	}
	h.State[key] = twin{place: fmt.Sprintf("%s:%d", h.File(), h.Line()), settings: settings}
	return nil
}
