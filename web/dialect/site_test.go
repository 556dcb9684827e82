package dialect_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A fakeSite is a domain with one account. It notes what it is asked. The
// fields above the line may be set between requests.
type fakeSite struct {
	login    string                   // of the account
	findings map[string]reset.Finding // of other logins; default: Nobody
	errs     map[string]error         // of a method by its name; "": of all
	result   reset.Result             // of Change; default: StatusChanged
	panics   bool

	mu       sync.Mutex
	calls    []string
	requests []reset.Request
	finds    []string
	tokens   []string // that Look was asked for
	entries  []reset.CodeEntry
	changes  []reset.NewPassword
}

func (s *fakeSite) called(name string) error {
	s.calls = append(s.calls, name)
	if s.panics {
		panic("a panic that quotes " + liveToken)
	}
	if err := s.errs[name]; err != nil {
		return err
	}
	return s.errs[""]
}

func (s *fakeSite) Request(_ context.Context, r reset.Request) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.called("Request"); err != nil {
		return "", err
	}
	if !isLogin(r.Login) {
		return "", reset.ErrLogin
	}
	s.requests = append(s.requests, r)
	return "R-2345-6789", nil
}

func (s *fakeSite) Find(_ context.Context, r reset.Request) (reset.Finding, error) {
	login := r.Login
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finds = append(s.finds, login)
	if err := s.called("Find"); err != nil {
		return reset.Found, err
	}
	if !isLogin(login) {
		return reset.Found, reset.ErrLogin
	}
	if found, known := s.findings[login]; known {
		return found, nil
	}
	if login == s.login {
		return reset.Found, nil
	}
	return reset.Nobody, nil
}

func (s *fakeSite) Look(_ context.Context, token string, _ netip.Addr) (reset.Grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, token)
	if err := s.called("Look"); err != nil {
		return reset.Grant{}, err
	}
	g := reset.Grant{MaskedLogin: "c•••e", Login: s.login, Expires: time.Now().Add(time.Hour)}
	switch token {
	case liveToken, codeToken:
		return g, nil
	case claimedToken:
		g.Claimed = true
		return g, nil
	}
	return reset.Grant{}, reset.ErrGrant
}

func (s *fakeSite) Code(_ context.Context, c reset.CodeEntry) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, c)
	if err := s.called("Code"); err != nil {
		return "", err
	}
	if !isLogin(c.Login) {
		return "", reset.ErrLogin
	}
	if c.Login != s.login || strings.NewReplacer(" ", "", "-", "").Replace(c.Code) != liveCode {
		return "", reset.ErrCode
	}
	return codeToken, nil
}

func (s *fakeSite) Change(_ context.Context, n reset.NewPassword) (reset.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, n)
	if err := s.called("Change"); err != nil {
		return reset.Result{}, err
	}
	if n.Token != liveToken && n.Token != codeToken {
		return reset.Result{}, reset.ErrGrant
	}
	if len(n.Password) < minLength {
		return reset.Result{}, &reset.PasswordError{Reasons: []passwords.Reason{{Code: passwords.TooShort, Limit: minLength}}}
	}
	if s.result.Status == "" {
		return reset.Result{Status: reset.StatusChanged}, nil
	}
	return s.result, nil
}

func (s *fakeSite) LookCancel(context.Context, string, netip.Addr) error { return reset.ErrGrant }

func (s *fakeSite) Cancel(context.Context, string, netip.Addr) error { return reset.ErrGrant }

func (s *fakeSite) Rules() passwords.Rules {
	return passwords.Rules{MinLength: minLength, MaxLength: 128, MaxBytes: 512}
}

func (s *fakeSite) Key(purpose string) [32]byte {
	return [32]byte([]byte((purpose + "0123456789abcdef0123456789abcdef")[:32]))
}

// isLogin is the rule of the domain.
func isLogin(s string) bool {
	s = strings.Trim(s, " \t")
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= 254 &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029 })
}
