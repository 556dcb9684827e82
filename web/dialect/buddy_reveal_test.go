package dialect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

// Who has an account cannot be told from an answer.
func TestBuddyUniform(t *testing.T) {
	ghost := strings.NewReplacer("cesare", "ghostx", "12345678", "87654321")
	for name, set := range map[string]func(*dialect.Buddy){"default": nil, "signed": withSecret, "key": withKey} {
		for _, fault := range []error{nil, &reset.LimitError{RetryAfter: time.Minute}, reset.ErrUnavailable, errDisk} {
			t.Run(fmt.Sprint(name, fault), func(t *testing.T) {
				w := speakBuddy(t, set)
				w.errs = map[string]error{"Request": fault}
				header := signed(t, "POST", buddyJSON)
				known := w.do("POST", buddyPath, header, buddyStart)
				sameBuddy(t, known, w.do("POST", buddyPath, header, ghost.Replace(buddyStart)))
				want := buddyAnswer(200, buddySuccess)
				if fault == reset.ErrUnavailable || fault == errDisk {
					want = buddyFailure(buddyDown)
				}
				compareBuddy(t, known, want)
				w.errs = nil
				header = signed(t, "PATCH", buddyJSON)
				sameBuddy(t,
					w.do("PATCH", buddyPath, header, strings.Replace(buddyFinish, liveCode, "87654321", 1)),
					w.do("PATCH", buddyPath, header, ghost.Replace(buddyFinish)))
				if len(w.finds) > 0 {
					t.Errorf("looked up: %q", w.finds)
				}
			})
		}
	}
}

func TestBuddyReveals(t *testing.T) {
	reveal := func(d *dialect.Buddy) {
		withSecret(d)
		d.CallerText, d.RevealAccounts = false, true
	}
	for _, tt := range []struct {
		name    string
		finding reset.Finding
		errs    map[string]error
		want    expected
	}{
		{"found", reset.Found, nil, buddyAnswer(200, buddySuccess)},
		{"nobody", reset.Nobody, nil, buddyError(400, 769, "ItemDoesNotExist", "User not found")},
		{"no address", reset.NoAddress, nil, buddyMissing("The user has no email address.")},
		{"mail is down", reset.MailDown, nil, buddyFailure(buddyNoMail)},
		{"store is down", reset.Found, map[string]error{"Find": reset.ErrUnavailable}, buddyFailure(buddyDown)},
		{"not a login", reset.Found, map[string]error{"Find": reset.ErrLogin}, buddyFormat("userName is not a user name.")},
		{"limit", reset.Found, map[string]error{"Request": &reset.LimitError{}}, buddyAnswer(200, buddySuccess)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBuddy(t, reveal)
			w.findings, w.errs = map[string]reset.Finding{"cesare": tt.finding}, tt.errs
			compareBuddy(t, w.do("POST", buddyPath, signed(t, "POST", buddyJSON), buddyStart), tt.want)
			if asked := len(w.requests) == 1; asked != (tt.finding == reset.Found && tt.errs == nil) {
				t.Errorf("requests %v", w.requests)
			}
		})
	}
	t.Run("to nobody without the credential", func(t *testing.T) {
		w := speakBuddy(t, func(d *dialect.Buddy) {
			withKey(d)
			d.RevealAccounts = true
		})
		ghost := strings.Replace(buddyStart, "cesare", "ghost", 1)
		compareBuddy(t, w.do("POST", buddyPath, buddyJSON, ghost), buddyAnswer(200, buddySuccess))
		if len(w.finds) > 0 {
			t.Errorf("looked up: %q", w.finds)
		}
		compareBuddy(t, w.do("POST", buddyPath, w.registered(), ghost), buddyError(400, 769, "ItemDoesNotExist", "User not found"))
	})
}

// What a client sends as a credential, and what it sets, comes back nowhere and
// is not logged.
func TestBuddyNothingSecretComesBack(t *testing.T) {
	header := []string{"Authorization: Buddy " + hush + " " + hush, "Cookie: x=" + hush, "User-Agent: " + hush}
	for _, tt := range []struct{ method, path, media, body string }{
		{"POST", "/devices", "application/json", `{"appID":"` + hush + `","appKey":"` + hush + `"}`},
		{"POST", "/devices", "application/json", `{"` + hush},
		{"POST", buddyPath, "application/json", `{"userName":"` + hush + `","subject":"@ResetCode","body":"@ResetCode ` + hush + `"}`},
		{"POST", buddyPath, "application/json", `{"userName":"` + hush + `\u0000","subject":"@ResetCode","body":"@ResetCode"}`},
		{"POST", buddyPath, hush, hush},
		{"PATCH", buddyPath, "application/json", `{"userName":"cesare","resetCode":"12345678","newPassword":"` + hush + `"}`},
		{"PATCH", buddyPath, "application/json", `{"userName":"` + hush + `","resetCode":"` + hush + `","newPassword":"` + hush + `"}`},
		{"GET", buddyPath + "?" + hush, "application/json", ""},
	} {
		for n, set := range []func(*dialect.Buddy){nil, withKey, withSecret, func(d *dialect.Buddy) { d.AppID, d.AppKey = hush, hush }} {
			for _, panics := range []bool{false, true} {
				w := speakBuddy(t, set)
				w.panics = panics
				got := w.do(tt.method, tt.path, append([]string{"Content-Type: " + tt.media}, header...), tt.body)
				checkBuddy(t, got)
				w.server.Close()
				if all := fmt.Sprint(got, w.log.String()); strings.Contains(all, hush) || strings.Contains(all, liveToken) || !strings.Contains(all, "dialect=buddy") {
					t.Errorf("%d: %s %s comes back: %s", n, tt.method, tt.path, all)
				}
			}
		}
	}
}
