package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A lookupRow is one way in which an app misbehaves when it is asked for an
// account.
type lookupRow struct {
	name string
	do   func(*hookCall)
	bad  *tls.Config // speaks TLS, and until it is mended with this

	fate  string // in the log
	cause string // in the log
}

func (r lookupRow) String() string { return r.name }

// lookupRows are all of them. PERSON stands for the login that is looked up.
func (w *peerWorld) lookupRows(good tls.Certificate, decoy string) (rows []lookupRow) {
	w.t.Helper()
	row := func(name, fate, cause string, do func(*hookCall)) {
		rows = append(rows, lookupRow{name: name, do: do, fate: fate, cause: cause})
	}
	row("says nothing", logLookupRetried, "no answer in time", (*hookCall).wait)
	row("reads and says nothing", logLookupRetried, "no answer in time", answeringThen("", (*hookCall).wait))
	row("drips its header", logLookupRetried, "no answer in time", answeringThen("HTTP/1.1 200 OK\n", slowly("x: y\n")))
	row("drips its body", logLookupRetried, "broke off", answeringThen("HTTP/1.1 200 OK\n\n{\"accounts\":[", slowly(" ")))
	row("hangs up", logLookupRetried, "", func(*hookCall) {})
	row("reads and resets", logLookupRetried, "reset", answeringThen("", resetting))
	row("floods 103", logLookupRetried, "no valid HTTP answer", answeringThen("", flooding("HTTP/1.1 103 Early Hints\n\n")))
	row("body without end", logLookupRetried, "broke off", answeringThen("HTTP/1.1 200 OK\n\n{\"accounts\":[", flooding("{},")))
	for _, status := range []int{408, 429, 500, 502, 503} {
		row(fmt.Sprint(status), logLookupRetried, fmt.Sprint("the app answered ", status), answeringJSON(fmt.Sprint(status, " X"), `{"accounts":[]}`))
	}
	for _, status := range []int{201, 202, 301, 307, 400, 401, 403, 409, 410, 422} {
		row(fmt.Sprint(status), logLookupAlarmed, fmt.Sprint("the app answered ", status),
			answering(fmt.Sprintf("HTTP/1.1 %d X\nLocation: http://%s/\nContent-Type: application/json\nConnection: close\n\n{\"accounts\":[]}", status, decoy)))
	}
	row("bare 404", logLookupAlarmed, "404", answering("HTTP/1.1 404 Not Found\nContent-Length: 0\n\n"))
	row("404 of a framework", logLookupAlarmed, "404", answeringJSON("404 Not Found", `{"error":"`+foreignText+`"}`))
	row("204", logLookupAlarmed, "204", answering("HTTP/1.1 204 X\n\n"))
	for _, r := range [][2]string{
		{"HTML", `<html>` + foreignText},
		{"nothing", ``},
		{"a list", `[]`},
		{"no list", `{"accounts":{}}`},
		{"null", `{"accounts":null}`},
		{"two objects", `{"accounts":[]}{"accounts":[]}`},
		{"accounts twice", `{"accounts":[],"accounts":[` + account("1", "PERSON@example.com") + `]}`},
		{"six accounts", `{"accounts":[` + strings.TrimSuffix(strings.Repeat(account("%", "PERSON@example.com")+",", 6), ",") + `]}`},
		{"one id twice", `{"accounts":[` + account("1", "PERSON@example.com") + "," + account("1", "PERSON@example.com") + `]}`},
		{"a fraction for an id", `{"accounts":[{"id":1.5,"login":"x","email":"PERSON@example.com"}]}`},
		{"no id", `{"accounts":[{"login":"x","email":"PERSON@example.com"}]}`},
		{"a long id", `{"accounts":[` + account(strings.Repeat("9", 129), "PERSON@example.com") + `]}`},
		{"two addresses in one", `{"accounts":[` + account("1", "PERSON@example.com, evil@example.net") + `]}`},
		{"addresses in a list", `{"accounts":[{"id":"1","login":"x","email":["PERSON@example.com"]}]}`},
		{"a header in an address", `{"accounts":[` + account("1", `PERSON@example.com\r\nBcc: evil@example.net`) + `]}`},
		{"a command in an address", `{"accounts":[` + account("1", `PERSON@example.com>\r\nRCPT TO:<evil@example.net`) + `]}`},
		{"a parameter in an address", `{"accounts":[` + account("1", `PERSON@example.com> NOTIFY=NEVER`) + `]}`},
		{"a quoted local part", `{"accounts":[` + account("1", `\"PERSON> NOTIFY=NEVER \"@example.com`) + `]}`},
		{"a display name", `{"accounts":[` + account("1", `Person <PERSON@example.com>`) + `]}`},
		{"an address literal", `{"accounts":[` + account("1", `PERSON@[127.0.0.1]`) + `]}`},
		{"a name for an address", `{"accounts":[` + account("1", `PERSON`) + `]}`},
		{"two bad addresses", `{"accounts":[` + account("1", "PERSON@example") + "," + account("2", "PERSON@") + `]}`},
	} {
		row("answers "+r[0], logLookupAlarmed, "", lookedUp(r[1]))
	}
	row("lists nobody", logNoMail, "", lookedUp(`{"accounts":[]}`))
	row("404 with nobody", logNoMail, "", answeringJSON("404 X", `{"accounts":[]}`))
	row("no address", logNoMail, "", lookedUp(`{"accounts":[`+account("1", "")+`]}`))
	for _, r := range []struct {
		name string
		by   tls.Certificate
		edit func(*x509.Certificate)
	}{
		{"of another name", good, func(c *x509.Certificate) { c.DNSNames = []string{"app.example.net"} }},
		{"of an unknown authority", tls.Certificate{}, nil},
	} {
		rows = append(rows, lookupRow{
			name: "certificate " + r.name, do: (*hookCall).behave, bad: &tls.Config{Certificates: []tls.Certificate{issue(w.t, r.by, r.edit)}},
			fate: logLookupAlarmed, cause: "checking certificate",
		})
	}
	return rows
}

// account is one in JSON.
func account(id, email string) string {
	return `{"id":"` + id + `","login":"x","email":"` + email + `","name":"` + foreignText + `"}`
}

// lookedUp answers a lookup of a person; of nobody there is none.
func lookedUp(body string) func(*hookCall) {
	return func(c *hookCall) {
		if !c.read() {
			return
		}
		_, login, _ := strings.Cut(string(c.body), `"login":"`)
		login, _, _ = strings.Cut(login, `"`)
		if !strings.HasPrefix(login, "person") {
			c.behave()
			return
		}
		text := strings.ReplaceAll(body, "PERSON", login)
		for n := 1; strings.Contains(text, `"%"`); n++ {
			text = strings.Replace(text, `"%"`, fmt.Sprintf(`"%d"`, n), 1)
		}
		c.send("HTTP/1.1 200 OK\nContent-Type: application/json\nConnection: close\n\n" + text)
	}
}

// Whatever an app does when it is asked for an account, those who ask read the
// same, no mail goes anywhere but to an address that is one, and the mail comes
// once the app is well.
func TestTrialLookups(t *testing.T) {
	trial.Beside(t)
	tr := trial.New(t, "apps that misbehave when they look up an account")
	tryLookups(t, tr, hurriedPace, tr.Size(1, 6), nil)
}

// tryLookups tries each row some times, all beside each other in one program.
func tryLookups(t *testing.T, tr *trial.Trial, p pace, times int, only func(lookupRow) bool) (slowest time.Duration) {
	t.Helper()
	w := newPeerWorld(t, p, 4000)
	certificate := w.certificate()
	decoy := w.newHook(nil, nil, nil)
	rows := w.lookupRows(certificate, decoy.Address)
	var tries []*lookupTry
	for range times {
		for _, row := range rows {
			if only != nil && !only(row) {
				continue
			}
			try := &lookupTry{lookupRow: row}
			secure := row.bad != nil
			if secure {
				try.hook = w.newHook(row.do, &tls.Config{Certificates: []tls.Certificate{certificate}}, row.bad)
			} else {
				try.hook = w.newHook(row.do, nil, nil)
			}
			try.site = w.newSite(w.smtp(), try.hook.setting(demo.LookupPath, secure), w.hook(demo.ChangedPath))
			tries = append(tries, try)
		}
	}
	w.trial(tr, func(fail func(format string, args ...any)) {
		tryAll(tr, tries, fail)
		for _, try := range tries {
			_, lasted := try.hook.met()
			slowest = max(slowest, lasted)
		}
		if dialled, _ := decoy.met(); dialled != 0 {
			fail("a redirect was followed %d times", dialled)
		}
		for _, m := range w.Inbox.Mails() {
			if strings.Contains(string(m.Raw), "evil@") || m.Header.Get("Bcc") != "" {
				fail("a mail holds what was injected")
			}
		}
	})
	return slowest
}

// A lookupTry is a row on a site of its own.
type lookupTry struct {
	lookupRow
	hook  *hook
	site  *peerSite
	login string
}

// run asks, sees what the log says and that no mail came, mends the hook and
// sees the mail arrive.
func (l *lookupTry) run() error {
	s := l.site
	l.login = s.w.person()
	if err := s.ask(l.login); err != nil {
		return err
	}
	if _, err := s.logged(l.fate, l.cause); err != nil {
		return err
	}
	if s.w.received(address(l.login)) > 0 {
		return errors.New("a mail came without an account")
	}
	if l.fate == logNoMail {
		return nil // and none will come: an answer of "nobody" is not tried again
	}
	l.hook.mend()
	_, token, err := s.mailed(l.login, 1)
	if err != nil {
		return err
	}
	return s.expect(http.StatusOK, "<form", "/password-reset/link/"+token, "")
}

// afterwards holds that each request had its one mail, or none, and its few
// lookups.
func (l *lookupTry) afterwards() error {
	want := 1
	if l.fate == logNoMail {
		want = 0
	}
	if mails := l.site.w.received(address(l.login)); mails != want {
		return fmt.Errorf("%d mails came for one request", mails)
	}
	if dialled, _ := l.hook.met(); dialled > 8 { // for two requests
		return fmt.Errorf("%d connections for two requests", dialled)
	}
	return nil
}
