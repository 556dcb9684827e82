package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A peerSite is one of the sites. Its methods return errors, since they are
// called from many goroutines at once.
type peerSite struct {
	Base string

	w        *peerWorld
	settings string
}

// id is what the log names it by.
func (s *peerSite) id() string { return strings.TrimPrefix(s.Base, "http://") }

// call sends a request; a body makes it a POST, of a form or of JSON.
func (s *peerSite) call(path, body string) (status int, text string, err error) {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(s.w.t.Context(), method, s.Base+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "application/json")
	}
	r, err := s.w.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, string(b), err
}

// expect sends a request and returns an error for another answer.
func (s *peerSite) expect(status int, text, path, body string) error {
	got, answer, err := s.call(path, body)
	if err == nil && (got != status || !strings.Contains(answer, text)) {
		err = fmt.Errorf("%s is answered %d, not %d with %q: %.80q", strings.SplitAfter(path, "/link")[0], got, status, text, answer)
	}
	return err
}

// ask asks for somebody, and for nobody: the answers are the same.
func (s *peerSite) ask(login string) error {
	var answers [2]string
	for i, login := range []string{login, strings.Replace(login, "person", "nobody", 1)} {
		status, text, err := s.call("/password-reset", `{"login":"`+login+`"}`)
		if err != nil {
			return err
		}
		if status != http.StatusAccepted {
			return fmt.Errorf("asking is answered %d: %s", status, text)
		}
		answers[i] = reference.ReplaceAllString(text, "REFERENCE")
	}
	if answers[0] != answers[1] {
		return fmt.Errorf("answers differ: %s and %s", answers[0], answers[1])
	}
	return nil
}

// mailed waits for the n-th mail to somebody and returns it with its token.
func (s *peerSite) mailed(login string, n int) (demo.Mail, string, error) {
	m, err := s.next(login, n)
	if err != nil {
		return m, "", err
	}
	link, err := m.Link(s.Base + "/password-reset")
	if err != nil {
		return m, "", err
	}
	code, err := m.Code()
	if err != nil {
		return m, "", err
	}
	s.w.hide("a code", code)
	return m, s.w.hide("a token", link[strings.LastIndexByte(link, '/')+1:]), nil
}

func (s *peerSite) next(login string, n int) (demo.Mail, error) {
	ctx, cancel := context.WithTimeout(s.w.t.Context(), time.Minute+2*s.w.Pace.attempt)
	defer cancel()
	return s.w.Inbox.Wait(ctx, address(login), n)
}

// password is one that somebody might choose.
func (s *peerSite) password(login string) string {
	return s.w.hide("a password", "a calm sea at night, said "+strings.ReplaceAll(login, "-", " "))
}

// change sets a new password.
func (s *peerSite) change(token, password string) (status int, text string, err error) {
	return s.call("/password-reset/new", `{"token":"`+token+`","password":"`+password+`"}`)
}

// dead says whether a link is.
func (s *peerSite) dead(token string) error {
	return s.expect(http.StatusGone, "", "/password-reset/link/"+token, "")
}

// changed holds that a change of somebody's has arrived: the notice is the
// n-th mail, the app lets them in, and the link is dead.
func (s *peerSite) changed(login, token, password string, n int) error {
	m, err := s.next(login, n)
	if err != nil {
		return err
	}
	if _, err := m.Code(); err == nil {
		return errors.New("a mail with a code came in the place of a notice")
	}
	form := url.Values{"login": {login}, "password": {password}}
	if err := s.expect(http.StatusSeeOther, "", demo.LoginPath, form.Encode()); err != nil {
		return err
	}
	return s.dead(token)
}

// journey walks the whole way of somebody new, and looks at a page of the app.
func (s *peerSite) journey() error {
	login := s.w.person()
	if err := s.expect(http.StatusOK, "Log in", demo.LoginPath, ""); err != nil {
		return err
	}
	if err := s.ask(login); err != nil {
		return err
	}
	_, token, err := s.mailed(login, 1)
	if err != nil {
		return err
	}
	password := s.password(login)
	if status, text, err := s.change(token, password); err != nil || status != http.StatusOK {
		return fmt.Errorf("the change is answered %d, %v: %s", status, err, text)
	}
	return s.changed(login, token, password, 2)
}
