package main

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// surface is where our pages are in these tests.
const surface = "/password-reset"

// A visitor is a person with a browser without scripts, who keeps cookies and
// is led by redirects.
type visitor struct {
	t      *testing.T
	site   string // base URL
	client http.Client
}

func newVisitor(t *testing.T, site string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, site: site, client: http.Client{Jar: jar, Timeout: time.Minute}}
}

// A view is what a visitor has before them.
type view struct {
	status   int
	address  *url.URL
	location string // where an answer leads that was not followed
	body     string
}

func (v *visitor) get(path string) view { return v.send(http.MethodGet, path, nil) }

func (v *visitor) post(path string, form url.Values) view {
	return v.send(http.MethodPost, path, form)
}

// peek sends a request and follows no redirect.
func (v *visitor) peek(method, path string, edit ...func(*http.Request)) view {
	v.t.Helper()
	r := v.request(method, path, nil)
	for _, e := range edit {
		e(r)
	}
	client := v.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return v.answer(client.Do(r))
}

func (v *visitor) send(method, path string, form url.Values) view {
	v.t.Helper()
	return v.answer(v.client.Do(v.request(method, path, form)))
}

// request makes one as browsers do: with what a check against cross-site forms
// looks at.
func (v *visitor) request(method, path string, form url.Values) *http.Request {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.site+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", v.site)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	r.Header.Set("Accept-Language", "en")
	return r
}

func (v *visitor) answer(r *http.Response, err error) view {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return view{r.StatusCode, r.Request.URL, r.Header.Get("Location"), string(body)}
}

// expect checks a view by its status, the path that it is at ("" for any) and
// a part of its text.
func (v *visitor) expect(what string, got view, status int, path, text string) {
	v.t.Helper()
	if got.status != status || path != "" && got.address.Path != path || !strings.Contains(got.body, text) {
		v.t.Fatalf("%s: status %d at %s instead of %d at %s with %q:\n%s", what, got.status, got.address.Path, status, path, text, got.body)
	}
}

// ask asks for a mail to somebody.
func (v *visitor) ask(login string) {
	v.t.Helper()
	v.expect("opening the form", v.get(surface), http.StatusOK, surface, `name="login"`)
	v.expect("asking for a mail", v.post(surface, url.Values{"login": {login}}), http.StatusOK, surface+"/sent", login)
}

var tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)

// open opens the link in a mail and returns the token that the form sends.
func (v *visitor) open(m demo.Mail) string {
	v.t.Helper()
	link, err := m.Link(v.site + surface)
	if err != nil {
		v.t.Fatal(err)
	}
	form := v.get(strings.TrimPrefix(link, v.site))
	v.expect("opening the link", form, http.StatusOK, "", "")
	token := tokenField.FindStringSubmatch(form.body)
	if token == nil {
		v.t.Fatalf("the page behind the link has no form:\n%s", form.body)
	}
	return token[1]
}

// choose sends a new password.
func (v *visitor) choose(token, password string) view {
	v.t.Helper()
	return v.post(surface+"/new", url.Values{"token": {token}, "password": {password}, "password_repeat": {password}})
}

// reset walks the whole way for somebody who has had n mails so far.
func (v *visitor) reset(inbox *demo.Inbox, login string, n int, password string) {
	v.t.Helper()
	v.ask(login)
	token := v.open(v.wait(inbox, login, n+1))
	v.expect("choosing a password", v.choose(token, password), http.StatusOK, surface+"/done", "")
	if _, err := v.wait(inbox, login, n+2).Link(v.site + surface); err == nil {
		v.t.Fatal("the mail after the change has a link to a form")
	}
}

func (v *visitor) wait(inbox *demo.Inbox, login string, n int) demo.Mail {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	m, err := inbox.Wait(ctx, login+"@example.com", n)
	if err != nil {
		v.t.Fatal(err)
	}
	return m
}
