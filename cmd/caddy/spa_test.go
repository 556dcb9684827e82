package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

const spaGlobal = `{
	password_reset {
		smtp {$RESET_SMTP} {
			auth {$RESET_SMTP_USER} {env.RESET_SMTP_PASSWORD}
		}
	}
}
`

// spaSite is a site of files alone, made of its base URL, what stands in front
// of the files, the folder of the world, and other addresses of the site.
const spaSite = `
%[1]s%[4]s {
	root %[3]s/spa
	%[2]s
	password_reset {
		base_url %[1]s
		login_url /login
		from support@example.com
		directory file %[3]s/accounts.csv
		target webhook http://{$RESET_APP}/hooks/password-changed
		webhook_secret {env.RESET_WEBHOOK_SECRET}
		take_over /forgot*
	}
	file_server
}
`

// A single-page app answers every path with its one page. Ours are before
// that, before the lock on a site that is not open yet, and behind the
// redirect to the canonical host.
func TestSinglePageApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := os.Mkdir(filepath.Join(w.Home, "spa"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("spa/index.html", []byte("<!doctype html><title>The app's shell</title>"))
	w.write("spa/app.js", []byte("the app's script"))
	w.write("accounts.csv", []byte("id,login,email,name\n"+
		"1001,alice,alice@example.com,Alice Archer\n1002,bob,bob@example.com,Bob Baker\n1003,carol,carol@example.com,Carol Cooper\n"))
	hash, err := bcrypt.GenerateFromPassword([]byte("not open yet"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(w.Site, "127.0.0.1", "www.localhost", 1)
	sites := []struct {
		name, login, base, front, also string
		status                         int    // of what is the app's
		text                           string // of a path that only the app knows
	}{
		{
			"try_files behind the canonical host", "alice", w.Site,
			"@other host www.localhost\n\tredir @other " + w.Site + "{uri} 308\n\ttry_files {path} /index.html", ", " + other,
			http.StatusOK, "The app's shell",
		},
		{
			"basic_auth", "bob", "http://" + freeAddress(t),
			"basic_auth {\n\t\ttester " + string(hash) + "\n\t}\n\ttry_files {path} /index.html", "",
			http.StatusUnauthorized, "",
		},
		{
			"catch-all rewrite", "carol", "http://" + freeAddress(t), "rewrite * /index.html", "",
			http.StatusOK, "The app's shell",
		},
	}
	caddyfile := spaGlobal
	for _, s := range sites {
		caddyfile += fmt.Sprintf(spaSite, s.base, s.front, w.Home, s.also)
	}
	w.Caddyfile = w.write("Caddyfile", []byte(caddyfile))
	w.start()

	for _, s := range sites {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			v := newVisitor(t, s.base)
			v.expect("a script of the app", v.peek("GET", "/app.js"), s.status, "", "")
			for _, path := range []string{"/orders/17", "/password-resetter", "/x/password-reset"} {
				v.expect(path, v.peek("GET", path), s.status, "", s.text)
			}
			for _, path := range []string{"", "/", "/sent"} {
				v.expect(surface+path, v.peek("GET", surface+path), http.StatusOK, "", "<form")
			}
			v.expect("no page of ours", v.peek("GET", surface+"/nothing"), http.StatusNotFound, "", "")
			for _, path := range []string{"/.well-known/change-password", "/forgot", "/forgotten/in/time"} {
				if got := v.peek("GET", path); got.status != http.StatusFound || !strings.HasSuffix(got.location, surface) {
					t.Errorf("%s: status %d to %q", path, got.status, got.location)
				}
			}
			// A password manager takes the well-known address seriously only if
			// this one is not answered with 200 (W3C, A Well-Known URL for
			// Changing Passwords), as the app would.
			probe := "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
			v.expect("the probe", v.peek("GET", probe), http.StatusNotFound, "", "")

			const password = "granite lantern opera 58"
			v.reset(w.Inbox, s.login, 0, password)
			app := newVisitor(t, "http://"+w.Env["RESET_APP"])
			app.expect("the old password", app.post(demo.LoginPath, login(s.login, demo.InitialPassword)), http.StatusUnauthorized, "", "")
			app.expect("the new password", app.post(demo.LoginPath, login(s.login, password)), http.StatusOK, "/", "")
		})
	}
	t.Run("other host", func(t *testing.T) {
		t.Parallel()
		v := newVisitor(t, w.Site)
		www := func(r *http.Request) { r.Host = strings.TrimPrefix(other, "http://") }
		for _, path := range []string{surface, surface + "/link/x", "/.well-known/change-password", "/orders/17"} {
			got := v.peek("GET", path, www)
			if got.status != http.StatusPermanentRedirect || got.location != w.Site+path {
				t.Errorf("%s: status %d to %q", path, got.status, got.location)
			}
		}
	})
}

func login(name, password string) url.Values {
	return url.Values{"login": {name}, "password": {password}}
}
