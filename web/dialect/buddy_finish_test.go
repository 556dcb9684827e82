package dialect_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

func TestBuddyFinish(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		body   string
	}{
		{"JSON", buddyJSON, buddyFinish},
		{"form", buddyForm, "userName=cesare&resetCode=12345678&newPassword=newpass123"},
		{"username", buddyJSON, `{"username":"cesare","resetcode":"12345678","NEWPASSWORD":"newpass123","location":"1,2"}`},
		{"as the mail shows it", buddyJSON, `{"userName":"cesare","resetCode":"1234 5678","newPassword":"newpass123"}`},
		{"copied with its line end", buddyJSON, `{"userName":"cesare","resetCode":" \t12345678\r\n","newPassword":"newpass123"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBuddy(t, nil)
			compareBuddy(t, w.do("PATCH", buddyPath, tt.header, tt.body), buddyAnswer(200, buddySuccess))
			want := []reset.NewPassword{{Token: codeToken, Password: "newpass123", ClientIP: ipOf(clientIP)}}
			if diff := cmp.Diff(want, w.changes, cmp.Comparer(sameIP)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if len(w.entries) != 1 || w.entries[0].Login != "cesare" || w.entries[0].ClientIP != ipOf(clientIP) {
				t.Errorf("entries %v", w.entries)
			}
		})
	}
}

// A password is handed on as it was typed, space and all.
func TestBuddyPasswords(t *testing.T) {
	for _, password := range []string{" leading and trailing ", "Pässwörter 密码 🎉", "a&b=c+d%20e", "tab\there", strings.Repeat("x", 200)} {
		quoted, _ := json.Marshal(password)
		w := speakBuddy(t, nil)
		compareBuddy(t, w.do("PATCH", buddyPath, buddyJSON, `{"userName":"cesare","resetCode":"12345678","newPassword":`+string(quoted)+`}`), buddyAnswer(200, buddySuccess))
		if len(w.changes) != 1 || w.changes[0].Password != password {
			t.Errorf("%q became %v", password, w.changes)
		}
	}
}

func TestBuddyFinishRefuses(t *testing.T) {
	const short = `{"userName":"cesare","resetCode":"12345678","newPassword":"short"}`
	dead := buddyFormat(buddyDead)
	for _, tt := range []struct {
		name, body string
		errs       map[string]error
		result     reset.Result
		want       expected
	}{
		{"wrong code", strings.Replace(buddyFinish, "12345678", "12345679", 1), nil, reset.Result{}, dead},
		{"code of another kind", strings.Replace(buddyFinish, "12345678", "ABC123", 1), nil, reset.Result{}, dead},
		{"empty code", strings.Replace(buddyFinish, "12345678", "", 1), nil, reset.Result{}, dead},
		{"nobody", strings.Replace(buddyFinish, "cesare", "ghost", 1), nil, reset.Result{}, dead},
		{"not a login", strings.Replace(buddyFinish, "cesare", `\u0000`, 1), nil, reset.Result{}, dead},
		{"wrong code and weak password", strings.Replace(short, "12345678", "12345679", 1), nil, reset.Result{}, dead},
		{"used meanwhile", buddyFinish, map[string]error{"Change": reset.ErrGrant}, reset.Result{}, dead},
		{"too many codes", buddyFinish, map[string]error{"Code": &reset.LimitError{RetryAfter: time.Minute}}, reset.Result{}, dead},
		{"too many changes", buddyFinish, map[string]error{"Change": &reset.LimitError{RetryAfter: time.Minute}}, reset.Result{}, dead},
		{"account gone", buddyFinish, nil, reset.Result{Status: reset.StatusGone}, dead},
		{"superseded", buddyFinish, nil, reset.Result{Status: reset.StatusSuperseded}, dead},
		{"weak password", short, nil, reset.Result{}, buddyFormat(buddyTooShort)},
		{"empty password", strings.Replace(buddyFinish, "newpass123", "", 1), nil, reset.Result{}, buddyFormat(buddyTooShort)},
		{"app refuses", buddyFinish, nil, reset.Result{Status: reset.StatusRefused, Detail: "Used <b>before</b>."}, buddyFormat("<text>Used <b>before</b>.")},
		{"app is down", buddyFinish, nil, reset.Result{Status: reset.StatusPending}, buddyFailure(buddyPending)},
		{"unknown outcome", buddyFinish, nil, reset.Result{Status: "later"}, buddyFailure(buddyDown)},
		{"store is down at the code", buddyFinish, map[string]error{"Code": reset.ErrUnavailable}, reset.Result{}, buddyFailure(buddyDown)},
		{"store is down at the change", buddyFinish, map[string]error{"Change": errDisk}, reset.Result{}, buddyFailure(buddyDown)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBuddy(t, nil)
			w.errs, w.result = tt.errs, tt.result
			got := w.do("PATCH", buddyPath, buddyJSON, tt.body)
			compareBuddy(t, got, tt.want)
			if strings.Contains(got.body, "success") {
				t.Errorf("answer %s", got.body)
			}
		})
	}
}
