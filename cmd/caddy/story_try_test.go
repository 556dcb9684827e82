package main

import (
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// The oracle finds nothing where all went as it should, with a crash or
// without.
func TestStory(t *testing.T) {
	t.Parallel()
	accounts := people(3)
	s := newStory(newWorld(t), accounts, nil)
	s.begin()
	for _, p := range accounts {
		if !s.requests(p) {
			t.Fatal("a request was not accepted")
		}
	}
	s.crash()
	s.begin()
	mails := make([]demo.Mail, len(accounts))
	for n, p := range accounts {
		mails[n] = s.mail(p.Email, 1)
	}
	if a := s.gives(accounts[0], s.token(mails[0]), "a calm sea at night"); a != changed {
		t.Error(a)
	}
	s.App.SetDown(true)
	if a := s.gives(accounts[1], s.token(mails[1]), "another calm sea at night"); a != pending {
		t.Error(a)
	}
	s.App.SetDown(false)
	if !s.cancels(mails[2]) {
		t.Error("not cancelled")
	}
	s.crash()
	if a := s.gives(accounts[2], s.token(mails[2]), "no calm sea at night"); a != untold {
		t.Error(a)
	}
	s.begin()
	if err := s.holds(); err != nil {
		t.Error(err)
	}
}
