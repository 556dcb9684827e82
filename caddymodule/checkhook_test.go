package caddymodule_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// hookFaults are what can be wrong with a hook of either kind. set points the hook
// under test elsewhere.
func hookFaults(part string, set func(w *way, url string)) []misconfiguration {
	always := func(status int, body string) func(*way) {
		return func(w *way) {
			set(w, w.hook(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Location", "https://www.corner.internal/hooks")
				rw.WriteHeader(status)
				_, _ = io.WriteString(rw, body)
			}))
		}
	}
	return []misconfiguration{
		{"nobody listens", func(w *way) { set(w, "http://"+closed(w.t)) }, part, "reach", true, "nothing listens at 127.0.0.1:", "start the app, or correct host and port"},
		{"another secret", func(w *way) {
			app, err := demo.NewApp(demo.Options{Secret: "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", BcryptCost: bcrypt.MinCost})
			if err != nil {
				w.t.Fatal(err)
			}
			set(w, w.hook(app.ServeHTTP)+"/hooks/lookup")
		}, part, "hook", true, "refuses our signature (answer 401)", "the same secret: `webhook_secret` here"},
		{"wrong path", func(w *way) { set(w, w.hooks.URL+"/hooks/none") }, part, "hook", true, "no hook at this URL (answer 404)", "correct host and path"},
		{"redirect", always(308, ""), part, "hook", true, "redirects (answer 308)", "write the URL that it leads to"},
		{"front controller", always(200, "<!DOCTYPE html><title>Shop</title>"), part, "hook", true, "something that answers everything", "above the app's catch-all"},
		{"failing", always(500, "Traceback"), part, "hook", true, "the app fails (answer 500)", "see the app's log"},
		{"gateway without an app", always(502, ""), part, "hook", true, "the app fails (answer 502)", "a proxy before it"},
		{"cross-site protection", always(403, "CSRF"), part, "hook", true, "forbids our message (answer 403)", "exempt the hook"},
		{"limited", always(429, ""), part, "hook", true, "turns messages away for now", "a limit of requests"},
		{"unknown authority", func(w *way) {
			s := httptest.NewUnstartedServer(http.NotFoundHandler())
			s.TLS, s.Config.ErrorLog = w.ca.issue(w.t, nil), quietLog
			s.StartTLS()
			w.t.Cleanup(s.Close)
			set(w, s.URL)
		}, part, "reach", true, "authority", "`trusted_ca FILE`"},
		{"no TLS there", func(w *way) { set(w, "https"+strings.TrimPrefix(w.hooks.URL, "http")) }, part, "reach", true, "does not speak TLS", "write http://"},
		{"hangs", func(w *way) {
			set(w, "http://"+says(w.t))
			w.briefly()
		}, part, "reach", true, "no answer from 127.0.0.1:", "whether the app hangs"},
	}
}

// Each thing that is wrong with a hook, of either kind.
func TestCheckHooks(t *testing.T) {
	w := newWay(t)
	for part, set := range map[string]func(*way, string){
		"directory": func(w *way, url string) { w.lookup = "webhook " + url },
		"target":    func(w *way, url string) { w.changed = "webhook " + url },
	} {
		t.Run(part, func(t *testing.T) { try(t, w, hookFaults(part, set)) })
	}
}

// A clock that is wrong is named before the signature that is refused for it.
func TestCheckClock(t *testing.T) {
	w := newWay(t)
	w.lookup = "webhook " + w.hook(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Date", time.Now().Add(-2*time.Hour).UTC().Format(http.TimeFormat))
		rw.WriteHeader(http.StatusUnauthorized)
	})
	found := problems(w.check())
	if len(found) != 2 || found[0].Step != "clock" || !found[0].Broken || !strings.Contains(found[0].Cure, "NTP") || found[1].Step != "hook" {
		t.Errorf("%+v", found)
	}
}

// A lookup that lets mails go to the wrong people, or to nobody.
func TestCheckLookup(t *testing.T) {
	const part = "directory"
	w := newWay(t)
	// An app that checks signatures, knows ping, and answers all else with that.
	lookup := func(answer string) func(*way) {
		return func(w *way) {
			ours, err := webhookout.ParseSecret(secret)
			if err != nil {
				w.t.Fatal(err)
			}
			w.lookup = "webhook " + w.hook(func(rw http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || webhookout.Verify([]webhookout.Secret{ours}, r.Header, body, time.Now()) != nil {
					rw.WriteHeader(http.StatusUnauthorized)
					return
				}
				var m struct{ Type string }
				if json.Unmarshal(body, &m) != nil || m.Type == "ping" {
					rw.WriteHeader(http.StatusNoContent)
					return
				}
				rw.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(rw, answer)
			})
		}
	}
	file := func(text string) func(*way) {
		return func(w *way) {
			name := w.path("accounts.csv")
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				w.t.Fatal(err)
			}
			w.lookup = "file " + name
			w.horizon.Rows = 2
		}
	}
	try(t, w, []misconfiguration{
		{"an account for each login", lookup(`{"accounts":[{"id":"1","login":"admin","email":"admin@corner.internal"}]}`), part, "lookup", true, "has 1 account for the login \"check-", "compare the whole login"},
		{"an object of another kind", lookup(`{"account":null}`), part, "lookup", true, "a login that nobody has fails", `{"accounts":[]}`},
		{"nothing", lookup(``), part, "lookup", true, "a login that nobody has fails", `{"accounts":[]}`},
		{"a page for lookups", lookup(`<!DOCTYPE html>`), part, "lookup", true, "a login that nobody has fails", `{"accounts":[]}`},
		{"file with many rows", file("id,login,email\n1,a,a@corner.internal\n2,b,b@corner.internal\n3,c,c@corner.internal\n"), part, "file", false, "read at each start", "`directory webhook`"},
		{"signatures not checked", func(w *way) {
			w.lookup = "webhook " + w.hook(func(rw http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), `"ping"`) {
					rw.WriteHeader(http.StatusNoContent)
					return
				}
				_, _ = io.WriteString(rw, `{"accounts":[]}`)
			})
		}, part, "signature", true, "somebody else has signed", "check webhook-signature"},
	})
	try(t, w, []misconfiguration{{"signatures of changes not checked", func(w *way) {
		w.changed = "webhook " + w.hook(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) })
	}, "target", "signature", true, "whoever reaches the hook can set any password", "keep it off the public site"}})
}
