package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// known has an account and unknown has none. They are of one length, and a
// backslash is right in JSON before the same letters of both.
const known, unknown = "person-0", "pardon-0"

// What a visitor gets does not tell whether an account exists: byte by byte,
// whether mail, app and store work or not, and whatever limit was hit.
func TestAnswersDoNotTellAccountsApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.employ(people(1), nil)
	w.start()
	u := &uniform{world: w}

	t.Run("well", func(t *testing.T) {
		u.compare(t, http.StatusAccepted, "POST", "/password-reset", `{"login":"%s"}`)
		w.mail(known+"@example.com", 1)
	})
	t.Run("a code is live", func(t *testing.T) {
		u.compareCodes(t)
	})
	t.Run("limit of the account", func(t *testing.T) {
		u.compare(t, http.StatusAccepted, "POST", "/password-reset", `{"login":"%s"}`)
		u.compare(t, http.StatusSeeOther, "POST", "/password-reset", "login=%s")
	})
	t.Run("by address", func(t *testing.T) {
		u.compare(t, http.StatusAccepted, "POST", "/password-reset", `{"login":"%s@example.com"}`)
		u.compare(t, http.StatusSeeOther, "POST", "/password-reset", "login=%s%%40example.com")
	})
	t.Run("guesses used up", func(t *testing.T) {
		for range 5 {
			u.compareCodes(t)
		}
	})
	t.Run("page after asking", func(t *testing.T) {
		var pages [2]string
		for i, login := range []string{known, unknown} {
			asked := w.do("POST", "/password-reset", "login="+login, u.visitor()...)
			cookie, _, _ := strings.Cut(asked.Header.Get("Set-Cookie"), ";")
			if cookie == "" {
				t.Fatal("no cookie")
			}
			page := w.do("GET", "/password-reset/sent", "", "Cookie", cookie)
			if !strings.Contains(page.Body, login) {
				t.Errorf("the page does not know who asked")
			}
			pages[i] = masked(page, login)
		}
		if diff := cmp.Diff(pages[0], pages[1]); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("relay down", func(t *testing.T) {
		w.Inbox.SetDown(true)
		defer w.Inbox.SetDown(false)
		u.compareAll(t, http.StatusAccepted, http.StatusSeeOther)
	})
	t.Run("app down", func(t *testing.T) {
		w.App.SetDown(true)
		defer w.App.SetDown(false)
		u.compareAll(t, http.StatusAccepted, http.StatusSeeOther)
	})
	t.Run("limit of the visitor", func(t *testing.T) {
		visitor := u.visitor()
		for i := 0; ; i++ {
			r := w.do("POST", "/password-reset", `{"login":"somebody"}`, visitor...)
			if r.Status == http.StatusTooManyRequests {
				break
			}
			if i > 50 {
				t.Fatal("there is no limit")
			}
		}
		u.fixed = visitor
		defer func() { u.fixed = nil }()
		u.compare(t, http.StatusTooManyRequests, "POST", "/password-reset", `{"login":"%s"}`)
		u.compare(t, http.StatusTooManyRequests, "POST", "/password-reset", "login=%s")
	})
	t.Run("store gone", func(t *testing.T) {
		store := filepath.Join(w.Home, storeDir, "reset.db")
		if err := os.Rename(store, store+".away"); err != nil {
			t.Fatal(err)
		}
		w.until("the store is missed", func() bool {
			return w.do("POST", "/password-reset", "login=somebody", u.visitor()...).Status == http.StatusServiceUnavailable
		})
		u.compareAll(t, http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	})
}

// uniform compares answers for the two logins.
type uniform struct {
	*world
	strangers strangers
	fixed     []string // who all visitors are, if set
}

// visitor returns the headers of a new one, who has met no limit.
func (u *uniform) visitor() []string {
	if u.fixed != nil {
		return u.fixed
	}
	return u.strangers.visitor()
}

// compareAll asks and enters codes, as a program and as a browser.
func (u *uniform) compareAll(t *testing.T, program, browser int) {
	t.Helper()
	u.compare(t, program, "POST", "/password-reset", `{"login":"%s"}`)
	u.compare(t, browser, "POST", "/password-reset", "login=%s")
	u.compare(t, program, "POST", "/password-reset", `{"login":"%s@example.com"}`)
	if program == http.StatusServiceUnavailable {
		u.compare(t, program, "POST", "/password-reset/code", `{"login":"%s","code":"00000000"}`)
		u.compare(t, program, "POST", "/password-reset/new", `{"login":"%s","code":"00000000","password":"`+newPassword+`"}`)
		return
	}
	u.compareCodes(t)
}

// compareCodes enters a code that is wrong.
func (u *uniform) compareCodes(t *testing.T) {
	t.Helper()
	code := "00000000"
	for _, m := range u.Inbox.Mails() {
		if right, err := m.Code(); err == nil && right == code {
			code = "11111111"
		}
	}
	u.compare(t, http.StatusUnprocessableEntity, "POST", "/password-reset/code", `{"login":"%s","code":"`+code+`"}`)
	u.compare(t, http.StatusUnprocessableEntity, "POST", "/password-reset/code", "login=%s&code="+code)
	u.compare(t, http.StatusUnprocessableEntity, "POST", "/password-reset/new", `{"login":"%s","code":"`+code+`","password":"`+newPassword+`"}`)
}

// compare sends one request for each login and compares all that comes back.
func (u *uniform) compare(t *testing.T, status int, method, target, body string) {
	t.Helper()
	var answers [2]string
	for i, login := range []string{known, unknown} {
		r := u.do(method, target, fmt.Sprintf(body, login), u.visitor()...)
		if r.Status != status {
			t.Errorf("%s %s with %s is answered %d, not %d", method, target, fmt.Sprintf(body, login), r.Status, status)
		}
		answers[i] = masked(r, login)
	}
	if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
		t.Errorf("%s %s with %s tells the two apart:\n%s", method, target, body, diff)
	}
}

// What differs between any two requests, with its length kept.
var (
	moment    = regexp.MustCompile(`(?m)^(Date|Retry-After): [^\r]*`)
	reference = regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}\b`)
	cookie    = regexp.MustCompile(`(?m)^(Set-Cookie: [^=]+=)([^;\r]*)`)
)

func masked(r reply, login string) string {
	raw := moment.ReplaceAll(r.Raw, []byte("$1: -"))
	raw = cookie.ReplaceAllFunc(raw, func(line []byte) []byte {
		name, value, _ := bytes.Cut(line, []byte("="))
		return fmt.Appendf(nil, "%s=%d bytes", name, len(value))
	})
	// After the cookies: what is sealed in one may look like a reference.
	raw = reference.ReplaceAll(raw, []byte("REFE-RENCE"))
	for _, form := range []string{login, url.QueryEscape(login)} {
		raw = bytes.ReplaceAll(raw, []byte(form), []byte("LOGIN"))
	}
	return string(raw)
}
