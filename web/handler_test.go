package web_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		mod  func(*web.Options)
		want string // in the error
	}{
		{"no open", func(o *web.Options) { o.Open = nil }, "Open"},
		{"no base", func(o *web.Options) { o.BaseURL = "" }, "base_url is required"},
		{"relative base", func(o *web.Options) { o.BaseURL = "app.test" }, "https://"},
		{"http base", func(o *web.Options) { o.BaseURL = "http://app.test" }, "plain http"},
		{"http base that looks local", func(o *web.Options) { o.BaseURL = "http://localhost.evil.test" }, "plain http"},
		{"http base that begins like loopback", func(o *web.Options) { o.BaseURL = "http://127.0.0.1.evil.test" }, "plain http"},
		{"user in base", func(o *web.Options) { o.BaseURL = "https://app.test@evil.test" }, "user name"},
		{"query in base", func(o *web.Options) { o.BaseURL = "https://app.test/?a=b" }, "query"},
		{"empty query in base", func(o *web.Options) { o.BaseURL = "https://app.test/?" }, "query"},
		{"fragment in base", func(o *web.Options) { o.BaseURL = "https://app.test/#a" }, "fragment"},
		{"escape in base", func(o *web.Options) { o.BaseURL = "https://app.test/%61" }, "only letters"},
		{"dots in base", func(o *web.Options) { o.BaseURL = "https://app.test/a/../b" }, "dot segments"},
		{"no host", func(o *web.Options) { o.BaseURL = "https:///a" }, "host"},
		{"script base", func(o *web.Options) { o.BaseURL = "javascript:alert(1)" }, "https://"},
		{"root path", func(o *web.Options) { o.Path = "/" }, "slash"},
		{"relative path", func(o *web.Options) { o.Path = "reset" }, "slash"},
		{"escaped path", func(o *web.Options) { o.Path = "/a%2fb" }, "letters"},
		{"dot path", func(o *web.Options) { o.Path = "/a/./b" }, "dot segments"},
		{"login on another scheme", func(o *web.Options) { o.LoginURL = "javascript:alert(1)" }, "login_url"},
		{"login without scheme", func(o *web.Options) { o.LoginURL = "//evil.test" }, "login_url"},
		{"login with backslash", func(o *web.Options) { o.LoginURL = `/\evil.test` }, "login_url"},
		{"login with tab", func(o *web.Options) { o.LoginURL = "/\t/evil.test" }, "login_url"},
		{"login over http", func(o *web.Options) { o.LoginURL = "http://app.test/login" }, "login_url"},
		{"unknown locale", func(o *web.Options) { o.DefaultLocale = "tlh" }, "default_locale"},
		{"change address", func(o *web.Options) { o.ChangePassword = "on" }, "change_password"},
		{"take over all", func(o *web.Options) { o.TakeOver = []string{"/*"} }, "whole site"},
		{"take over the login", func(o *web.Options) { o.TakeOver = []string{"/LOG*"} }, "login_url"},
		{"take over the absolute login", func(o *web.Options) {
			o.LoginURL = "https://app.test/a/login?x=1"
			o.TakeOver = []string{"*login"}
		}, "login_url"},
		{"take over the change page", func(o *web.Options) {
			o.ChangePassword = "/me/password"
			o.TakeOver = []string{"/*/password"}
		}, "change_password"},
		{"broken template", func(o *web.Options) {
			o.Templates = fstest.MapFS{"ask.html": {Data: []byte(`{{define "title"}}{{end`)}}
		}, "ask.html"},
		{"template without content", func(o *web.Options) {
			o.Templates = fstest.MapFS{"sent.html": {Data: []byte(`<p>`)}}
		}, "sent.html"},
		{"template with an unknown field", func(o *web.Options) {
			o.Templates = fstest.MapFS{"new.html": {Data: []byte(`{{define "title"}}t{{end}}{{define "content"}}{{.Password}}{{end}}`)}}
		}, "new.html"},
		{"template with an unknown text", func(o *web.Options) {
			o.Templates = fstest.MapFS{"done.html": {Data: []byte(`{{define "title"}}t{{end}}{{define "content"}}{{.Text "page.none"}}{{end}}`)}}
		}, "done.html"},
		{"style that ends", func(o *web.Options) {
			o.Templates = fstest.MapFS{"style.css": {Data: []byte(`</style><script>`)}}
		}, "style.css"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(&fakeSite{})
			tt.mod(&o)
			_, err := web.New(o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestNewAccepts(t *testing.T) {
	for _, base := range []string{
		"https://app.test", "https://app.test/", "https://app.test:8443/app", "https://[2001:db8::1]",
		"http://localhost:3000", "http://LOCALHOST", "http://127.8.8.8", "http://[::1]:80",
	} {
		o := options(&fakeSite{})
		o.BaseURL = base
		if _, err := web.New(o); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	}
}

// Our own paths come first: a pattern that covers them too does no harm.
func TestTakeOverAroundOurs(t *testing.T) {
	o := options(&fakeSite{})
	o.TakeOver = []string{"/password*"}
	h := newHandler(t, o)
	if w := get(t, h, "/password-reset"); w.Code != 200 {
		t.Errorf("our form: %d", w.Code)
	}
	if w := get(t, h, "/password/forgot"); w.Code != 302 {
		t.Errorf("the app's: %d", w.Code)
	}
}

func TestLinks(t *testing.T) {
	o := options(&fakeSite{})
	o.BaseURL, o.Path = "https://app.test/App/", "/Reset/"
	h := newHandler(t, o)
	for got, want := range map[string]string{
		h.AskLink():         "https://app.test/App/Reset",
		h.Link("", "t-1"):   "https://app.test/App/Reset/link/t-1",
		h.CancelLink("t-1"): "https://app.test/App/Reset/cancel/t-1",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if w := get(t, h, "/app/reset"); w.Code != 200 {
		t.Errorf("the linked path answers %d", w.Code)
	}
}

func TestLivesAreShown(t *testing.T) {
	for _, tt := range []struct {
		link, code time.Duration
		want       string
	}{
		{0, 0, "works for 30 minutes, the code for 10 minutes."},
		{45 * time.Minute, 7 * time.Minute, "works for 45 minutes, the code for 7 minutes."},
		{5 * time.Minute, 0, "works for 5 minutes, the code for 5 minutes."},
	} {
		o := options(&fakeSite{})
		o.LinkTTL, o.CodeTTL = tt.link, tt.code
		if page := get(t, newHandler(t, o), "/password-reset/sent").Body.String(); !strings.Contains(page, tt.want) {
			t.Errorf("no %q on the page:\n%s", tt.want, page)
		}
	}
}
