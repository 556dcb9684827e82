package main

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// links holds that a link opens unless it was used, cancelled, or ended by a
// change of the account, and does not open then.
func (s *story) links() (found []error) {
	letters := s.letters()
	for _, p := range s.people {
		ended := s.lastApplied(p).told
		// The notice is stored with the end of a change, which may come late
		// after the app's answer: what was minted in between has ended with it.
		stored := ended
		for _, mails := range letters[kindChanged] {
			for _, m := range mails {
				if m.To == p.Email && m.At.After(stored) {
					stored = m.At
				}
			}
		}
		for _, mails := range letters[kindReset] {
			for _, m := range mails {
				if m.To != p.Email {
					continue
				}
				token := s.token(m)
				r, err := s.try("GET", surface+"/link/"+token, "")
				sure, cancelled := s.cancelled[grantOf(token)]
				switch {
				case err != nil || r.Status != http.StatusOK && r.Status != http.StatusGone:
					found = append(found, fmt.Errorf("a link of %s is answered %d, %v", p.Login, r.Status, err))
				case r.Status == http.StatusOK && (sure || ended.After(m.At)):
					found = append(found, fmt.Errorf("a link of %s works after a change or a cancellation", p.Login))
				case r.Status == http.StatusGone && !cancelled && !s.used(token) && m.At.After(stored.Add(settling)):
					found = append(found, fmt.Errorf("a link of %s that nothing has ended does not open; a change was stored %v before it was mailed", p.Login, m.At.Sub(stored)))
				}
			}
		}
	}
	return found
}

// used reports whether a change stands on the grant of a token, as far as
// anybody can know.
func (s *story) used(token string) bool {
	for _, g := range s.proposals() {
		if grantOf(g.token) == grantOf(token) && (g.answer == changed || g.answer == pending || g.answer == untold) {
			return true
		}
	}
	return false
}

// anew has everybody ask for a mail and change their password by it, which ends
// what they have had before.
func (s *story) anew() (found []error) {
	before := s.letters()[kindReset]
	var mu sync.Mutex
	report := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		found = append(found, fmt.Errorf(format, args...))
	}
	var wg sync.WaitGroup
	for _, p := range s.people {
		wg.Go(func() {
			if !s.requests(p) {
				report("%s cannot ask for a mail", p.Login)
				return
			}
			var m demo.Mail
			if !s.within(func() (ok bool) { m, ok = s.answered(p); return ok }) {
				report("%s gets no mail any more", p.Login)
				return
			}
			password := freshPassword()
			if a := s.gives(p, s.token(m), password); a != changed {
				report("%s cannot change a password any more: %s", p.Login, a)
				return
			}
			if !s.logsIn(p, password) {
				report("%s cannot log in with a password that was changed", p.Login)
			}
			for _, mails := range before {
				for _, old := range mails {
					if old.To != p.Email {
						continue
					}
					if r, err := s.try("GET", surface+"/link/"+s.token(old), ""); err != nil || r.Status != http.StatusGone {
						report("an older link of %s is answered %d after a change, %v", p.Login, r.Status, err)
					}
				}
			}
		})
	}
	wg.Wait()
	return found
}

// answered returns the mail to the newest request of somebody, if it has come.
func (s *story) answered(owner demo.Account) (m demo.Mail, ok bool) {
	s.mu.Lock()
	reference := ""
	for _, a := range s.asked {
		if a.owner == owner {
			reference = a.reference
		}
	}
	s.mu.Unlock()
	mails := s.letters()[kindReset][reference]
	if len(mails) == 0 {
		return m, false
	}
	return mails[0], true
}

// grantOf returns what all tokens of one grant have in common: they begin with
// its id.
func grantOf(token string) string { return token[:min(21, len(token))] }
