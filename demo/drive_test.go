package demo_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// surface is a stand-in for the real one, as small as [demo.Drive] allows. The
// fault is what it does wrong.
type surface struct {
	t      *testing.T
	app    *demo.App
	inbox  *demo.Inbox
	target *webhookout.Target
	policy *passwords.Policy
	base   string
	fault  string

	mu     sync.Mutex
	grants []*grant
}

type grant struct {
	login, token, code, cancel string
	dead                       bool
}

func (s *surface) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ours := strings.CutPrefix(r.URL.Path, demo.ResetPath)
	switch {
	case r.URL.Path == demo.ForgotPath && s.fault != "old page":
		http.Redirect(w, r, demo.ResetPath, http.StatusSeeOther)
	case !ours:
		s.app.ServeHTTP(w, r)
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.serve(w, r, path)
	}
}

func (s *surface) serve(w http.ResponseWriter, r *http.Request, path string) {
	route, token, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch r.Method + " " + route {
	case "GET ":
		s.form(w, 200, demo.ResetPath, "login", "")
	case "POST ":
		login := r.PostFormValue("login")
		http.SetCookie(w, &http.Cookie{Name: "login", Value: login, Path: "/"})
		g := &grant{login: login, token: rand.Text(), cancel: rand.Text(), code: "12345678"}
		s.grants = append(s.grants, g)
		if s.fault != "no mail" && login != "mallory" {
			s.mail(login, fmt.Sprintf("%s/link/%s\n\n1234 5678\n\n%s/cancel/%s\n", s.base, g.token, s.base, g.cancel))
		}
		http.Redirect(w, r, demo.ResetPath+"/sent", http.StatusSeeOther)
	case "GET sent":
		login := ""
		if c, err := r.Cookie("login"); err == nil && s.fault != "forgets login" {
			login = c.Value
		}
		s.form(w, 200, demo.ResetPath+"/code", "login", login, "code", "")
		fmt.Fprintf(w, "Asked for %s. Reference: %s.", login, rand.Text())
		if login == "mallory" && s.fault == "reveals accounts" {
			fmt.Fprint(w, " Who is that?")
		}
	case "POST code":
		code := strings.ReplaceAll(r.PostFormValue("code"), " ", "")
		for _, g := range s.grants {
			if g.login == r.PostFormValue("login") && (g.code == code || s.fault == "any code") && !g.dead {
				s.form(w, 200, demo.ResetPath+"/new", "token", g.token, "password", "", "password_repeat", "")
				return
			}
		}
		s.form(w, 422, demo.ResetPath+"/code", "login", r.PostFormValue("login"), "code", "")
	case "GET link":
		if g := s.grant(token); g != nil {
			s.form(w, 200, demo.ResetPath+"/new", "token", token, "password", "", "password_repeat", "")
			if s.fault == "link consumed" {
				g.dead = true
			}
			return
		}
		http.Error(w, "dead", http.StatusGone)
	case "POST new":
		s.change(w, r)
	case "GET cancel":
		s.form(w, 200, demo.ResetPath+"/cancel/"+token)
		s.end(token, s.fault == "cancel on open")
	case "POST cancel":
		s.end(token, s.fault != "cancel ignored")
		fmt.Fprint(w, "Done.")
	case "GET done":
		fmt.Fprint(w, "Done.")
	default:
		http.NotFound(w, r)
	}
}

func (s *surface) change(w http.ResponseWriter, r *http.Request) {
	g, password := s.grant(r.PostFormValue("token")), r.PostFormValue("password")
	if g == nil {
		http.Error(w, "dead", http.StatusGone)
		return
	}
	why := ""
	if s.policy.Check(password, []string{g.login}) != nil && s.fault != "weak passwords" {
		why = "weak"
	} else if password != r.PostFormValue("password_repeat") && s.fault != "no repeat" {
		why = "differs"
	} else {
		account := reset.Account{ID: map[string]string{"alice": "1001", "bob": "1002"}[g.login], Login: g.login}
		a := s.target.Apply(r.Context(), reset.Change{
			Site: "site", ID: rand.Text(), Sequence: time.Now().UnixMilli(), Account: account, Format: "plain", Password: password,
		})
		if a.Verdict == reset.Refused && s.fault != "silent" {
			why = a.Detail
		} else if a.Verdict != reset.Applied {
			why = "refused"
		}
	}
	if why != "" {
		s.form(w, 422, demo.ResetPath+"/new", "token", g.token, "password", "", "password_repeat", "")
		fmt.Fprint(w, html.EscapeString(why))
		return
	}
	g.dead = s.fault != "link lives on"
	text := "Changed.\n"
	if s.fault == "link in notice" {
		text = s.base + "/link/" + g.token
	}
	s.mail(g.login, text)
	http.Redirect(w, r, demo.ResetPath+"/done", http.StatusSeeOther)
}

func (s *surface) grant(token string) *grant {
	for _, g := range s.grants {
		if g.token == token && !g.dead {
			return g
		}
	}
	return nil
}

func (s *surface) end(cancel string, really bool) {
	for _, g := range s.grants {
		g.dead = g.dead || really && g.cancel == cancel
	}
}

// form writes a page with a form; fields are names and values in turn.
func (s *surface) form(w http.ResponseWriter, status int, action string, fields ...string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<form method="post" action="%s">`, action)
	for i := 0; i < len(fields); i += 2 {
		fmt.Fprintf(w, `<input name="%s" value="%s">`, fields[i], html.EscapeString(fields[i+1]))
	}
	fmt.Fprint(w, "<button>Go</button></form>")
}

func (s *surface) mail(login, text string) {
	to := login + "@example.com"
	links := ""
	for line := range strings.Lines(text) {
		links += `<a href="` + strings.TrimSpace(line) + `">x</a>`
	}
	if err := deliver(s.inbox, to, letter(to, text, links)); err != nil {
		s.t.Error(err)
	}
}

// drive runs Drive against a stand-in with a fault.
func drive(t *testing.T, fault string) (out string, err error) {
	app, server := startApp(t)
	key, err := webhookout.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	client, err := webhookout.New(webhookout.Options{URL: server.URL + demo.ChangedPath, Secrets: []webhookout.Secret{key}})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := passwords.New(passwords.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &surface{
		t: t, app: app, inbox: startInbox(t, demo.InboxOptions{}), fault: fault,
		target: &webhookout.Target{Client: client}, policy: policy,
	}
	front := httptest.NewTLSServer(s)
	t.Cleanup(front.Close)
	s.base = front.URL + demo.ResetPath

	patience := 20 * time.Second
	if fault == "no mail" {
		patience = 50 * time.Millisecond
	}
	var lines bytes.Buffer
	err = demo.Drive(t.Context(), demo.DriveOptions{BaseURL: front.URL, Mailbox: s.inbox, Client: front.Client(), Out: &lines, Patience: patience})
	for _, g := range s.grants {
		if all := lines.String() + fmt.Sprint(err); strings.Contains(all, g.token) || strings.Contains(all, g.cancel) || strings.Contains(all, g.code) {
			t.Error("a token or a code is in the output")
		}
	}
	return lines.String(), err
}

func TestDrive(t *testing.T) {
	out, err := drive(t, "")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "ok  ") {
			t.Errorf("line %q", line)
		}
	}
	if got := strings.Count(out, "\n"); got < 25 {
		t.Errorf("only %d steps:\n%s", got, out)
	}
}

func TestDriveFindsFaults(t *testing.T) {
	for fault, want := range map[string]string{
		"no mail":          "waiting for mail",
		"reveals accounts": "there is no mallory",
		"link consumed":    "alice opens the link twice",
		"weak passwords":   "a common password",
		"no repeat":        "typed in two ways",
		"silent":           "does not say why",
		"link lives on":    "good for nothing",
		"link in notice":   "it holds a link",
		"forgets login":    "knows his login",
		"any code":         "a wrong code is refused",
		"cancel on open":   "carol opens",
		"cancel ignored":   "good for nothing",
		"old page":         "the app's old reset page",
	} {
		t.Run(fault, func(t *testing.T) {
			out, err := drive(t, fault)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q\n%s", err, want, out)
			}
		})
	}
}
