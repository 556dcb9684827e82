package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A site speaks all dialects at once. In each a client starts, a mail comes,
// the person finishes in the vendor's way, on our pages or in another dialect,
// and the app is told once.
func TestDialectJourneys(t *testing.T) {
	t.Parallel()
	journeys := []struct {
		name   string
		start  func(login string) phrase // nil: on our page
		finish func(t *testing.T, w *world, m demo.Mail, login string)
	}{
		{"catalyze", catalyzeStart, byPage},
		{"payabli", payabliStart, byPage},
		{"baasbox", baasboxStart, byForm},
		{"buddy", buddyStart, byCall},
		{"catalyze, the code on our page", catalyzeStart, byCode},
		{"payabli, the code on our page", payabliStart, byCode},
		{"baasbox, the code on our page", baasboxStart, byCode},
		{"baasbox, the link on our page", baasboxStart, func(t *testing.T, w *world, m demo.Mail, login string) {
			form := w.baasboxForm(m)
			token := form[strings.LastIndexByte(form, '/')+1:]
			v := newVisitor(t, w.Site)
			v.expect("the link", v.get(form), http.StatusOK, form, "Choose a new password")
			v.expect("the token", v.get(surface+"/link/"+token), http.StatusOK, "", "Choose a new password")
			v.expect("choosing a password", v.choose(token, newPassword), http.StatusOK, surface+"/done", "")
		}},
		{"buddy, the link on our page", buddyStart, byPage},
		{"catalyze, the code by buddy's call", catalyzeStart, byCall},
		{"ours, the code by buddy's call", nil, byCall},
		{"ours, the link by baasbox's form", nil, func(t *testing.T, w *world, m demo.Mail, login string) {
			form := url.Values{"password": {newPassword}, "repeat-password": {newPassword}}
			v := newVisitor(t, w.Site)
			v.expect("the form", v.post("/user/password/reset/"+w.token(m), form), http.StatusOK, surface+"/done", "")
		}},
	}
	w := newWorld(t)
	accounts := people(len(journeys))
	w.employ(accounts, nil)
	w.speak(guardedDialects)
	w.start()
	// All in one go: a mail waits a while before it leaves.
	for i, j := range journeys {
		if j.start == nil {
			w.ask(accounts[i].Login)
		} else if r := w.say(j.start(accounts[i].Login)); r.Status != http.StatusOK {
			t.Fatalf("%s: the start is answered %d: %s", j.name, r.Status, r.Body)
		}
	}
	for i, j := range journeys {
		t.Run(j.name, func(t *testing.T) {
			account := accounts[i]
			m := w.mail(account.Email, 1)
			cancel, err := m.CancelLink(w.Site + surface)
			if err != nil {
				t.Fatal(err)
			}
			j.finish(t, w, m, account.Login)
			if n := w.changes(account.ID); n != 1 {
				t.Errorf("the app was told %d times", n)
			}
			if !w.lets(account.Login, newPassword) || w.lets(account.Login, demo.InitialPassword) {
				t.Error("the app does not have the new password")
			}
			if m := w.mail(account.Email, 2); !strings.Contains(m.Subject, "was changed") {
				t.Errorf("the mail that follows is %q", m.Subject)
			}
			v := newVisitor(t, w.Site)
			v.expect("the other link of the mail", v.get(strings.TrimPrefix(cancel, w.Site)), http.StatusGone, "", "")
		})
	}
}

// byPage finishes on our page with the link in a mail, which then is dead.
func byPage(t *testing.T, w *world, m demo.Mail, _ string) {
	t.Helper()
	v := newVisitor(t, w.Site)
	token := v.open(m)
	v.expect("choosing a password", v.choose(token, newPassword), http.StatusOK, surface+"/done", "")
	v.expect("the link again", v.choose(token, otherPassword), http.StatusGone, surface+"/new", "")
}

// byCall finishes with Buddy's call and the code in a mail.
func byCall(t *testing.T, w *world, m demo.Mail, login string) {
	t.Helper()
	code, err := m.Code()
	if err != nil {
		code = buddyCode(t, m)
	}
	refused := answer{
		http.StatusBadRequest, plainJSON,
		`{"status":400,"error":"ParameterIncorrectFormat","errorNumber":515,"message":"The reset code is invalid or has expired.","request_id":"REQUEST-ID"}`,
	}
	refused.wants(t, "a wrong code", w.say(buddyFinish(login, wrongCode(code), newPassword)))
	refused.wants(t, "somebody else's code", w.say(buddyFinish("nobody-0", code, newPassword)))
	buddyOK.wants(t, "the code", w.say(buddyFinish(login, " "+code+"\n", newPassword)))
	refused.wants(t, "the code again", w.say(buddyFinish(login, code, newPassword)))
}

// byForm finishes with the JSON of BaasBox's page.
func byForm(t *testing.T, w *world, m demo.Mail, login string) {
	t.Helper()
	form := w.baasboxForm(m)
	token := form[strings.LastIndexByte(form, '/')+1:]
	show := phrase{"GET", form + ".json", nil, ""}
	shown := answer{http.StatusOK, baasboxJSON, `{"user_name":"` + login + `","link":"` + form + `.json","token":"` + token + `","application_name":"BaasBox"}`}
	shown.wants(t, "the link", w.say(show))
	shown.wants(t, "the link again", w.say(show))
	submit := func(password, repeated string) reply {
		body := url.Values{"password": {password}, "repeat-password": {repeated}}.Encode()
		return w.say(phrase{"POST", form + ".json", []string{"Content-Type", "application/x-www-form-urlencoded"}, body})
	}
	answer{http.StatusBadRequest, baasboxJSON, strings.TrimSuffix(shown.Body, "}") +
		`,"error":"The new \"password\" field and the \"repeat password\" field must be the same."}`}.wants(t, "two passwords", submit(newPassword, "another"))
	answer{http.StatusOK, baasboxJSON, `{"user_name":"` + login + `","message":"Password changed","application_name":"BaasBox"}`}.
		wants(t, "the new password", submit(newPassword, newPassword))
	answer{
		http.StatusBadRequest, baasboxJSON,
		`{"user_name":"","error":"Exception: Reset Code not found or expired! Please repeat the reset password procedure","application_name":"BaasBox"}`,
	}.
		wants(t, "the form again", submit(newPassword, newPassword))
	answer{
		http.StatusBadRequest, baasboxJSON,
		`{"status":"KO","user_name":"","error":"Exception: Reset password procedure is expired! Please repeat the reset password procedure","application_name":"BaasBox"}`,
	}.
		wants(t, "the link after it was used", w.say(show))
}

// byCode finishes on our pages with the code in a mail.
func byCode(t *testing.T, w *world, m demo.Mail, login string) {
	t.Helper()
	code, err := m.Code()
	if err != nil {
		t.Fatalf("%v:\n%s", err, m.Text)
	}
	v := newVisitor(t, w.Site)
	form := v.post(surface+"/code", url.Values{"login": {login}, "code": {code}})
	token := tokenField.FindStringSubmatch(form.body)
	if token == nil {
		t.Fatalf("the code was answered %d:\n%s", form.status, form.body)
	}
	v.expect("choosing a password", v.choose(token[1], newPassword), http.StatusOK, surface+"/done", "")
}

// buddyCode returns the code in a mail in the caller's own words.
func buddyCode(t *testing.T, m demo.Mail) string {
	t.Helper()
	if m.Subject != "Reset Your Password" {
		t.Errorf("the subject is %q", m.Subject)
	}
	return codeBehind(t, m, "Use this code: ")
}

// codeBehind returns the code that follows some words in a mail.
func codeBehind(t *testing.T, m demo.Mail, words string) string {
	t.Helper()
	_, rest, _ := strings.Cut(m.Text, words)
	code := regexp.MustCompile(`^ ?(\d{8})\n`).FindStringSubmatch(rest)
	if code == nil {
		t.Fatalf("no code behind %q in the mail:\n%s", words, m.Text)
	}
	return code[1]
}

// Clients ask again and again: a click that is counted twice, an SDK that did
// not like the answer. One mail comes of it.
func TestDialectRetryStorm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.employ(people(len(vendors)), nil)
	w.speak(openDialects)
	w.start()
	for i, d := range vendors {
		login := people(len(vendors))[i].Login
		for range 3 {
			d.accept.wants(t, d.name, w.say(d.openStart(login)))
		}
	}
	w.dealtWith(3 * len(vendors))
	w.stop()
	for i, d := range vendors {
		if n := w.received(people(len(vendors))[i].Email); n != 1 {
			t.Errorf("%s: %d mails", d.name, n)
		}
	}
}

// dealtWith waits until n requests for a mail have come to their end.
func (w *world) dealtWith(n int) {
	w.t.Helper()
	w.untilNone("requests that wait", func() int {
		log := w.log.String()
		return n - strings.Count(log, "mail handed to the relay") - strings.Count(log, "reset ended without a mail")
	})
}
