package main

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// Nothing that clients in a dialect send or are sent is kept or shown in
// clear, whatever fails.
func TestDialectSecretsStayInside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCanaries(w)
	var app ailingHooks
	w.employ([]demo.Account{
		{ID: "1001", Login: c.login, Email: c.address, Name: c.name},
		{ID: "1002", Login: "bob", Email: "bob@example.com"},
	}, app.wrap)
	w.speak(strings.Replace(guardedDialects, "caller_text", "caller_text\n\t\treveal_accounts", 1))
	w.talkative()
	s := newSecretPhrases(c)
	w.start()

	if r := w.do("GET", "/login", ""); r.Status != http.StatusOK {
		t.Errorf("the app's own page is answered %d", r.Status)
	}

	// All is well: link and code of the mail, and the caller's words in it.
	s.sayAll(baasboxStart(c.login), s.words(c.login))
	m := w.mailThat(func(m demo.Mail) bool { return strings.Contains(m.Text, s.text) })
	s.code = codeBehind(t, m, s.text)
	s.form = w.baasboxForm(w.mailThat(func(m demo.Mail) bool { return strings.Contains(m.Text, "/user/password/reset/") }))
	c.codes = append(c.codes, s.code)
	c.addMails()
	s.sayAll(s.phrases()...)

	// The app is down, refuses with words that hold the password, and takes it.
	w.App.SetDown(true)
	s.sayAll(s.phrases()...)
	w.App.SetDown(false)
	app.set(http.StatusUnprocessableEntity, `{"detail":"`+c.password+` is what `+c.login+` had"}`)
	s.finish(http.StatusBadRequest)
	app.set(0, "")
	s.finish(http.StatusOK)
	s.sayAll(s.phrases()...)

	// The relay refuses for the time being.
	w.Inbox.SetDown(true)
	s.sayAll(append(s.phrases(), catalyzeStart("bob"))...)
	c.logged("answer 451")
	w.Inbox.SetDown(false)

	for _, command := range []string{"validate", "adapt", "reload"} {
		out, err := w.caddy(command, "--config", w.Caddyfile, "--adapter", "caddyfile")
		if err != nil {
			t.Errorf("caddy %s: %v\n%s", command, err, out)
		}
		c.search("caddy "+command, out)
	}
	for _, name := range s.variables {
		broken := w.write("broken", []byte(strings.ReplaceAll(w.caddyfile(), "env."+name, "env.BROKEN_"+name)))
		out, _ := w.caddy("reload", "--force", "--config", broken, "--adapter", "caddyfile")
		c.search("answer to a reload", out)
	}
	for _, path := range []string{"/config/", "/metrics", "/reverse_proxy/upstreams"} {
		c.search(path, w.admin(path))
	}
	c.searchFiles()

	w.losesStore()
	s.sayAll(s.phrases()...)
	c.searchFiles()
	w.stop()
	c.search("log", []byte(w.log.String()))
	for _, d := range vendors {
		if !strings.Contains(w.log.String(), `"dialect":"`+d.name+`"`) {
			t.Errorf("no line about %s in the log", d.name)
		}
	}
}

// nobodysForm is BaasBox's page with a token of no grant.
var nobodysForm = "/user/password/reset/" + strings.Repeat("canaryCanary", 6)[:64]

// secretPhrases are requests in all dialects that are full of secrets.
type secretPhrases struct {
	*canaries
	variables []string // of the environment, that hold a credential
	junk      []string // headers
	subject   string
	text      string
	form      string // path of BaasBox's page
	code      string
}

func newSecretPhrases(c *canaries) *secretPhrases {
	s := &secretPhrases{
		canaries: c, variables: []string{"CATALYZE_KEY", "BAASBOX_CODE", "BUDDY_KEY", "BUDDY_SECRET", "PAYABLI_TOKEN"},
		subject: "canary subject " + c.password[len(c.password)-12:], text: "canary text " + c.password[len(c.password)-12:] + ":",
	}
	for _, name := range s.variables {
		c.add(name, c.Env[name])
		c.add("a wrong "+name, "canary-wrong-"+name)
		c.Env["BROKEN_"+name] = "canary broken " + name
		c.add("a broken "+name, "canary broken "+name)
	}
	c.add("subject", s.subject)
	c.add("text", s.text)
	for what, value := range map[string]string{
		"session": "canary-session-7f1d", "device token": "canary-device-77aa", "cookie": "canary-cookie-81bc", "referer": "canary-referer-5ab3",
		"agent": "canary-agent-64ce", "call id": "canary-call-id-92", "basic login": "canary-basic-login",
	} {
		c.add(what, value)
	}
	c.add("made-up token", "canaryCanary")
	s.junk = []string{
		"X-BB-SESSION", "canary-session-7f1d", "Cookie", "baasbox-cookie=canary-cookie-81bc", "Referer", "https://app.example.com/canary-referer-5ab3",
		"User-Agent", "canary-agent-64ce", "Proxy-Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("canary-basic-login:"+c.password)),
		"Origin", "https://canary-referer-5ab3.example.net",
	}
	return s
}

// words asks for a mail in the caller's words.
func (s *secretPhrases) words(login string) phrase {
	return buddyCall("POST", `{"userName":`+quoted(login)+`,"subject":`+quoted(s.subject)+`,"body":`+quoted(s.text+" @ResetCode\n")+`}`)
}

// phrases are right and wrong ones.
func (s *secretPhrases) phrases() []phrase {
	var all []phrase
	for _, login := range []string{s.login, s.address} {
		for _, p := range []phrase{catalyzeStart(login), baasboxStart(login), s.words(login), payabliStart(s.address)} {
			all = append(all, p)
			for i, name := range []string{"X-Api-Key", "X-BAASBOX-APPCODE", "Authorization", "requestToken"} {
				value := []string{"browser x canary-wrong-CATALYZE_KEY", "canary-wrong-BAASBOX_CODE", "Buddy canary-device-77aa canary-wrong-BUDDY_SECRET", "canary-wrong-PAYABLI_TOKEN"}[i]
				all = append(all, p.with(name, value))
			}
			crooked := p
			crooked.target = "/x/.." + p.target
			doubled := p
			doubled.target = "/" + strings.ToUpper(p.target)
			query := p
			query.target += "?call_id=canary-call-id-92&appcode=canary-wrong-BAASBOX_CODE&X-BAASBOX-APPCODE=" + baasboxCode + "&token=" + s.form[len(s.form)-64:]
			null := p
			null.target = strings.Replace(p.target, url.PathEscape(login), url.PathEscape(login)+"%00", 1)
			broken := p
			broken.body = strings.TrimSuffix(p.body, "}")
			all = append(all, crooked, doubled, query, null, broken)
		}
		all = append(all,
			buddyFinish(login, s.code, "short"), buddyFinish(login, "00000000", s.password), buddyFinish(login, s.code, s.login),
			buddyCall("PATCH", url.Values{"userName": {login}, "resetCode": {"00000000"}, "newPassword": {s.password}}.Encode()).with("Content-Type", "application/x-www-form-urlencoded"),
			phrase{"POST", "/devices", []string{"Content-Type", "application/json"}, `{"appId":"` + buddyApp + `","appKey":"` + buddyKey + `","platform":"x","uniqueId":"canary-device-77aa"}`},
			phrase{"POST", "/devices", []string{"Content-Type", "application/json"}, `{"appId":"` + buddyApp + `","appKey":"canary-wrong-BUDDY_KEY","platform":"x"}`},
		)
	}
	body := url.Values{"password": {s.password}, "repeat-password": {"another"}}.Encode()
	for _, form := range []string{s.form, nobodysForm} {
		for _, suffix := range []string{"", ".json", "/", ";x", "/x"} {
			all = append(all, phrase{"GET", form + suffix, nil, ""},
				phrase{"POST", form + suffix, []string{"Content-Type", "application/x-www-form-urlencoded"}, body},
				phrase{"POST", form + suffix, []string{"Content-Type", "application/json"}, `{"password":` + quoted(s.password) + `}`})
		}
	}
	return all
}

// sayAll sends phrases and looks at what they are answered.
func (s *secretPhrases) sayAll(all ...phrase) {
	s.t.Helper()
	for _, p := range all {
		r := s.say(p, s.junk...)
		if r.Status >= 500 && r.Status != http.StatusServiceUnavailable && !strings.Contains(r.Body, "UnknownServiceError") {
			s.t.Errorf("%s is answered %d: %s", p.method, r.Status, r.Body)
		}
		if p.method == http.MethodPost && strings.HasPrefix(p.target, "/devices") && r.Status == http.StatusCreated {
			_, token, _ := strings.Cut(r.Body, `"accessToken":"`)
			token, _, _ = strings.Cut(token, `"`)
			s.add("access token", token)
		}
		for _, secret := range []string{"canary-session", "canary-cookie", "canary-referer", "canary-basic", s.Secret, s.SMTPPass, buddySecret, buddyKey, payabliToken, catalyzeKey, s.password} {
			if strings.Contains(string(r.Raw), secret) {
				s.t.Errorf("the answer to %s holds %q", p.method, secret)
			}
		}
	}
}

// finish sets the new password, in the vendor's way.
func (s *secretPhrases) finish(status int) {
	s.t.Helper()
	body := url.Values{"password": {s.password}, "repeat-password": {s.password}}.Encode()
	r := s.say(phrase{"POST", s.form + ".json", []string{"Content-Type", "application/x-www-form-urlencoded"}, body})
	if r.Status != status {
		s.t.Errorf("the new password is answered %d: %s", r.Status, r.Body)
	}
}

// mailThat waits for a mail that is like that.
func (w *world) mailThat(is func(demo.Mail) bool) (found demo.Mail) {
	w.t.Helper()
	w.until("a mail of a kind comes in", func() bool {
		for _, m := range w.Inbox.Mails() {
			if is(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}
