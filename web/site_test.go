package web_test

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// Tokens and codes that the fake site knows.
const (
	liveToken    = "live-Token_0123456789"
	claimedToken = "claimed-token"
	codeToken    = "token-from-code"
	cancelToken  = "cancel-token"
	liveCode     = "12345678"
	goodPassword = "correct horse battery staple"
	keyPurposes  = "0123456789abcdef0123456789abcdef"
)

// A fakeSite is a domain with one account, alice. It notes what it was asked.
type fakeSite struct {
	mu      sync.Mutex
	calls   []string
	ips     []netip.Addr
	request reset.Request
	entry   reset.CodeEntry
	change  reset.NewPassword

	err      error        // of every method
	result   reset.Result // of Change
	resultOf map[string]error
	finding  reset.Finding
	trusted  []bool // of the calls that say so
	panics   bool
}

func (s *fakeSite) note(trusted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trusted = append(s.trusted, trusted)
}

func (s *fakeSite) called(name string, ip netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, name)
	s.ips = append(s.ips, ip)
	if s.panics {
		panic("a panic that quotes " + liveToken)
	}
	if err := s.resultOf[name]; err != nil {
		return err
	}
	return s.err
}

func (s *fakeSite) Request(_ context.Context, r reset.Request) (string, error) {
	s.note(r.Trusted)
	if err := s.called("Request", r.ClientIP); err != nil {
		return "", err
	}
	if r.Login == "" || len(r.Login) > 1016 {
		return "", reset.ErrLogin
	}
	s.request = r
	return "R-2345-6789", nil
}

func (s *fakeSite) Find(_ context.Context, r reset.Request) (reset.Finding, error) {
	s.note(r.Trusted)
	return s.finding, s.called("Find", r.ClientIP)
}

func (s *fakeSite) Look(_ context.Context, token string, ip netip.Addr) (reset.Grant, error) {
	if err := s.called("Look", ip); err != nil {
		return reset.Grant{}, err
	}
	switch token {
	case liveToken, codeToken:
		return reset.Grant{MaskedLogin: "a•••e", Login: "alice", Expires: time.Now().Add(time.Hour)}, nil
	case claimedToken:
		return reset.Grant{MaskedLogin: "a•••e", Login: "alice", Claimed: true}, nil
	}
	return reset.Grant{}, reset.ErrGrant
}

func (s *fakeSite) Code(_ context.Context, c reset.CodeEntry) (string, error) {
	s.note(c.Trusted)
	if err := s.called("Code", c.ClientIP); err != nil {
		return "", err
	}
	s.entry = c
	if c.Login == "" {
		return "", reset.ErrLogin
	}
	if c.Code != liveCode {
		return "", reset.ErrCode
	}
	return codeToken, nil
}

func (s *fakeSite) Change(_ context.Context, n reset.NewPassword) (reset.Result, error) {
	s.note(n.Trusted)
	if err := s.called("Change", n.ClientIP); err != nil {
		return reset.Result{}, err
	}
	s.change = n
	if n.Token != liveToken && n.Token != codeToken {
		return reset.Result{}, reset.ErrGrant
	}
	if len(n.Password) < s.Rules().MinLength {
		return reset.Result{}, &reset.PasswordError{Reasons: []passwords.Reason{{Code: passwords.TooShort, Limit: s.Rules().MinLength}}}
	}
	if s.result.Status == "" {
		return reset.Result{Status: reset.StatusChanged}, nil
	}
	return s.result, nil
}

func (s *fakeSite) LookCancel(_ context.Context, token string, ip netip.Addr) error {
	if err := s.called("LookCancel", ip); err != nil {
		return err
	}
	if token != cancelToken {
		return reset.ErrGrant
	}
	return nil
}

func (s *fakeSite) Cancel(_ context.Context, token string, ip netip.Addr) error {
	if err := s.called("Cancel", ip); err != nil {
		return err
	}
	if token != cancelToken {
		return reset.ErrGrant
	}
	return nil
}

func (s *fakeSite) Rules() passwords.Rules {
	if s.panics {
		panic("a panic that quotes " + liveToken)
	}
	return passwords.Rules{MinLength: 15, MaxLength: 128, MaxBytes: 512}
}

func (s *fakeSite) Key(purpose string) [32]byte {
	return [32]byte([]byte((purpose + keyPurposes)[:32]))
}

var _ web.Site = (*fakeSite)(nil)
