package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A new password that the app refuses or cannot take for now is answered in
// the vendor's form. Nothing is lost by it: what the app refused may be tried
// again, and what it could not take reaches it once.
func TestDialectFinishWithoutTheApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.employ(people(3), nil)
	w.carriesOver("\t\tdialect buddy\n")
	w.start()
	logins := []string{"person-0", "person-1", "person-2"}
	for _, login := range logins[:2] {
		baasboxOK.wants(t, "baasbox", w.say(openStart(login)))
	}
	buddyOK.wants(t, "buddy", w.say(buddyStart(logins[2])))
	forms := []string{w.baasboxForm(w.mail("person-0@example.com", 1)), w.baasboxForm(w.mail("person-1@example.com", 1))}
	code, err := w.mail("person-2@example.com", 1).Code()
	if err != nil {
		t.Fatal(err)
	}

	submit := func(form, password string) reply {
		body := url.Values{"password": {password}, "repeat-password": {password}}.Encode()
		return w.say(phrase{"POST", form, []string{"Content-Type", "application/x-www-form-urlencoded"}, body})
	}
	token := forms[0][strings.LastIndexByte(forms[0], '/')+1:]
	shown := `{"user_name":"person-0","link":"` + forms[0] + `.json","token":"` + token + `","application_name":"BaasBox","error":"`
	buddy := func(status int, name, number, message string) answer {
		return answer{status, plainJSON, `{"status":` + itoa(status) + `,"error":"` + name + `","errorNumber":` + number + `,"message":"` + message + `","request_id":"REQUEST-ID"}`}
	}
	page := func(what string, r reply, status int, text string) {
		t.Helper()
		if r.Status != status || r.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(r.Body, text) {
			t.Errorf("%s: %d instead of %d with %q:\n%s", what, r.Status, status, text, r.Body)
		}
		safe(t, what, r)
	}

	for _, tt := range []struct{ name, password, reason string }{
		{"weak", weakPassword, "Many people use this password, so it is among the first to be guessed. Choose something less common."},
		{"short", "quartz kite 3", "Too short: use at least 15 characters."},
		{"refused by the app", "legacy " + newPassword, `Example does not accept this password: The old system cannot store passwords with the word \"legacy\".`},
	} {
		answer{http.StatusBadRequest, baasboxJSON, shown + tt.reason + `"}`}.wants(t, "baasbox, "+tt.name, submit(forms[0]+".json", tt.password))
		reason := strings.ReplaceAll(tt.reason, `\"`, "&#34;")
		page("baasbox's page, "+tt.name, submit(forms[1], tt.password), http.StatusBadRequest, reason)
		buddy(http.StatusBadRequest, "ParameterIncorrectFormat", "515", tt.reason).wants(t, "buddy, "+tt.name, w.say(buddyFinish(logins[2], code, tt.password)))
	}

	w.App.SetDown(true)
	const saved = "The password was saved and will take effect shortly"
	// Twice: people and clients try again.
	for range 2 {
		answer{http.StatusAccepted, baasboxJSON, `{"user_name":"person-0","message":"` + saved + `","application_name":"BaasBox"}`}.
			wants(t, "baasbox, app down", submit(forms[0]+".json", newPassword))
		page("baasbox's page, app down", submit(forms[1], newPassword), http.StatusAccepted, saved)
	}
	buddy(http.StatusInternalServerError, "UnknownServiceError", "0", "The new password was saved and will take effect shortly.").
		wants(t, "buddy, app down", w.say(buddyFinish(logins[2], code, newPassword)))
	w.App.SetDown(false)

	for i, login := range logins {
		if m := w.mail(login+"@example.com", 2); !strings.Contains(m.Subject, "was changed") {
			t.Errorf("the mail that follows is %q", m.Subject)
		}
		if n := w.changes(people(3)[i].ID); n != 1 || !w.lets(login, newPassword) {
			t.Errorf("the app has taken the password of %s %d times", login, n)
		}
	}
}
