package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// homeless has an account without an address; it is as long as the others.
const homeless = "person-1"

// unavailable is what clients are told while nothing can be stored.
var unavailable = map[string]answer{
	"catalyze": {http.StatusServiceUnavailable, plainJSON, `{"errors":[{"message":"Service unavailable.","code":503}]}`},
	"baasbox": {
		http.StatusServiceUnavailable, baasboxJSON,
		`{"result":"error","message":"The request could not be stored. Please try again later","resource":"/user/LOGIN/password/reset","method":"GET","request_header":{"Host":["HOST"],"X-BAASBOX-APPCODE":["CODE"]},"API_version":"0.9.5","http_code":503}`,
	},
	"buddy":   {http.StatusInternalServerError, plainJSON, `{"status":500,"error":"UnknownServiceError","errorNumber":0,"message":"The request could not be carried out. Try again later.","request_id":"REQUEST-ID"}`},
	"payabli": {http.StatusServiceUnavailable, plainJSON, `{"isSuccess":false,"responseText":"Database connection error"}`},
}

// What a client in a dialect gets does not tell whether an account exists or
// has an address: byte by byte, whatever is down and whatever limit was hit.
func TestDialectsDoNotTellAccountsApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, dialects string
		open           bool // to clients without a credential
	}{{"open", openDialects, true}, {"guarded", guardedDialects, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			accounts := people(2)
			accounts[1].Email = ""
			app := &gate{hold: make(chan struct{})}
			w.employ(accounts, app.wrap)
			w.speak(c.dialects)
			w.start()
			u := &dialectUniform{uniform: &uniform{world: w}, open: c.open}

			t.Run("well", func(t *testing.T) {
				u.starts(t, nil)
				w.mail(known+"@example.com", 1)
			})
			t.Run("limit of the account", func(t *testing.T) { u.starts(t, nil) })
			t.Run("a code is live", func(t *testing.T) { u.codes(t) })
			t.Run("guesses used up", func(t *testing.T) {
				for range 5 {
					u.codes(t)
				}
			})
			t.Run("relay down", func(t *testing.T) {
				w.Inbox.SetDown(true)
				defer w.Inbox.SetDown(false)
				u.starts(t, nil)
				u.codes(t)
			})
			t.Run("app down", func(t *testing.T) {
				w.App.SetDown(true)
				defer w.App.SetDown(false)
				u.starts(t, nil)
				u.codes(t)
			})
			// Nothing is looked up before the answer.
			t.Run("app hangs", func(t *testing.T) {
				app.shut.Store(true)
				defer close(app.hold)
				u.starts(t, nil)
				u.codes(t)
			})
			t.Run("limit of the visitor", func(t *testing.T) {
				u.fixed = u.visitor()
				defer func() { u.fixed = nil }()
				for range 25 {
					u.starts(t, nil)
				}
				// It counts clients without a credential only.
				met := w.do("POST", "/password-reset", "login=somebody", u.fixed...).Status == http.StatusTooManyRequests
				if met != c.open {
					t.Errorf("the limit was met: %v", met)
				}
			})
			t.Run("store gone", func(t *testing.T) {
				store := filepath.Join(w.Home, storeDir, "reset.db")
				if err := os.Rename(store, store+".away"); err != nil {
					t.Fatal(err)
				}
				w.until("the store is missed", func() bool {
					return w.do("POST", "/password-reset", "login=somebody", u.visitor()...).Status == http.StatusServiceUnavailable
				})
				u.starts(t, unavailable)
				for i := range [2]int{} {
					r := w.say(u.finish(i))
					if got := means(r); got != unavailable["buddy"] {
						t.Errorf("finishing is answered %+v", got)
					}
				}
			})
		})
	}
}

// A dialectUniform compares the answers to what is asked for different logins.
type dialectUniform struct {
	*uniform
	open bool
}

// starts asks in all dialects for all logins. Nil stands for success.
func (u *dialectUniform) starts(t *testing.T, wants map[string]answer) {
	t.Helper()
	for _, d := range vendors {
		start := d.start
		if u.open {
			start = d.openStart
		}
		want, special := wants[d.name]
		if !special {
			want = d.accept
		}
		var first string
		for i, login := range []string{known, unknown, homeless} {
			r := u.say(start(login), u.visitor()...)
			got := means(r)
			got.Body = u.hide(got.Body, login)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s: (-want +got)\n%s", d.name, login, diff)
			}
			safe(t, d.name, r)
			if retry := r.Header.Get("Retry-After"); (got.Status == http.StatusServiceUnavailable) != (retry == "1") {
				t.Errorf("%s, %s: answered %d with Retry-After %q", d.name, login, got.Status, retry)
			}
			all := u.hide(masks(masked(r, login)), login)
			if i == 0 {
				first = all
			} else if diff := cmp.Diff(first, all); diff != "" {
				t.Errorf("%s tells %s from %s:\n%s", d.name, login, known, diff)
			}
		}
	}
}

// codes enters a wrong one for all logins, and asks for what no token opens.
func (u *dialectUniform) codes(t *testing.T) {
	t.Helper()
	var first string
	for i := range [3]int{} {
		r := u.say(u.finish(i), u.visitor()...)
		if r.Status != http.StatusBadRequest || !strings.Contains(r.Body, "The reset code is invalid or has expired.") {
			t.Errorf("a wrong code is answered %d: %s", r.Status, r.Body)
		}
		all := masks(masked(r, "login"))
		if i == 0 {
			first = all
		} else if diff := cmp.Diff(first, all); diff != "" {
			t.Errorf("a wrong code tells accounts apart:\n%s", diff)
		}
	}
}

// finish is a call with a wrong code for one of the logins.
func (u *dialectUniform) finish(login int) phrase {
	code := "00000000"
	for _, m := range u.Inbox.Mails() {
		if strings.Contains(m.Text, "0000 0000") {
			code = "11111111"
		}
	}
	return buddyFinish([]string{known, unknown, homeless}[login], code, newPassword)
}

// hide takes out what was sent and comes back.
func (u *dialectUniform) hide(body, login string) string {
	return strings.NewReplacer(login, "LOGIN", url.PathEscape(login), "LOGIN", strings.TrimPrefix(u.Site, "http://"), "HOST",
		baasboxCode, "CODE", "1234567890", "CODE", `"X-Forwarded-For"`, `"LEAK"`).Replace(echoed.ReplaceAllString(body, ""))
}

// echoed are headers that BaasBox sends back and that say nothing here.
var echoed = regexp.MustCompile(`"(Accept|User-Agent)":\["[^"]*"\],?`)
