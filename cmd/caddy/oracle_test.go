package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// settling is how long after the app's answer a change may be without its end
// in the store, so that a mail made in between may have either fate.
const settling = 2 * time.Second

// pollPeers is how often peers are looked at for what is waited for.
const pollPeers = 20 * time.Millisecond

// holds waits until nothing is owed to anybody and holds what visitors were
// answered against what became of it. It needs a running program and healthy
// peers, has everybody change their password once more, and ends the program.
//
// It returns all that must not be, joined.
func (s *story) holds() error {
	s.t.Helper()
	found := s.settles()
	if len(found) > 0 {
		return errors.Join(append(found, s.noted()...)...) // what is lost does not come by waiting again
	}
	for _, step := range []func() []error{s.retries, s.settles, s.outcomes, s.newest, s.links, s.anew, s.settles, s.mails, s.rest, s.leaks, s.noted} {
		found = append(found, step()...)
	}
	return errors.Join(found...)
}

// noted are the faults that were seen while the story was told.
func (s *story) noted() []error {
	s.witness.mu.Lock()
	defer s.witness.mu.Unlock()
	return s.faults
}

// proposals returns what was given, as it stands.
func (s *story) proposals() (all []proposal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.given {
		all = append(all, *g)
	}
	return all
}

// settles waits until nothing is owed.
func (s *story) settles() (owed []error) {
	s.within(func() bool {
		owed = s.owed()
		return len(owed) == 0
	})
	return owed
}

// within waits for something as long as it may take.
func (s *story) within(done func() bool) bool {
	deadline := time.Now().Add(s.patience)
	for !done() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pollPeers)
	}
	return true
}

// owed returns what somebody was promised and has not come.
func (s *story) owed() (owed []error) {
	letters := s.letters()
	s.mu.Lock()
	asked := s.asked
	s.mu.Unlock()
	for _, a := range asked {
		if len(letters[kindReset][a.reference]) == 0 {
			owed = append(owed, fmt.Errorf("the request %s was accepted and never mailed", a.reference))
		}
	}
	for _, g := range s.proposals() {
		attempts := s.of(g.password)
		if len(attempts) == 0 {
			if (g.answer == changed || g.answer == pending) && !s.superseded(g) {
				owed = append(owed, fmt.Errorf("a change of %s was answered %q and never reached the app", g.owner.Login, g.answer))
			}
			continue
		}
		last := attempts[len(attempts)-1]
		switch {
		case last.applied():
			if len(letters[kindChanged][last.reference]) == 0 && (g.answer == changed || !s.superseded(g)) {
				owed = append(owed, fmt.Errorf("change %s of %s was applied without a notice", last.id, g.owner.Login))
			}
		case !last.final() && !s.superseded(g):
			owed = append(owed, fmt.Errorf("change %s of %s has no end: the app's last answer was %d", last.id, g.owner.Login, last.status))
		case last.status == http.StatusUnprocessableEntity && g.answer == pending && len(letters[kindRefused][last.reference]) == 0:
			owed = append(owed, fmt.Errorf("change %s of %s was refused without a notice", last.id, g.owner.Login))
		}
	}
	return owed
}

// superseded reports whether a newer change of the account may have taken the
// place of this one, or a cancellation dropped it: then it need not reach the
// app, and if it was in flight when the program died, nobody knows that it has.
func (s *story) superseded(g proposal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.cancelled[grantOf(g.token)]; ok {
		return true
	}
	for _, other := range s.given {
		later := other.ended.IsZero() || other.ended.After(g.began) // of two at once either may be the newer
		if later && other.owner == g.owner && other.password != g.password && other.answer != refused && other.answer != stale {
			return true
		}
	}
	return false
}

// retries has everybody who was not told what became of their password send it
// again: they must get the outcome, or the token must still work.
func (s *story) retries() (found []error) {
	s.mu.Lock()
	given := slices.Clone(s.given)
	s.mu.Unlock()
	for _, g := range given {
		if g.answer != untold {
			continue
		}
		again := s.gives(g.owner, g.token, g.password)
		_, cancelled := s.cancelled[grantOf(g.token)]
		switch again {
		case untold:
			found = append(found, fmt.Errorf("the token of %s, sent again, is still not answered", g.owner.Login))
		case stale:
			if !cancelled && !s.anyApplied(g.owner) && !s.superseded(*g) {
				found = append(found, fmt.Errorf("the token of %s is dead without a change that was applied", g.owner.Login))
			}
		}
	}
	return found
}

func (s *story) anyApplied(owner demo.Account) bool { return !s.lastApplied(owner).told.IsZero() }

// lastApplied returns the newest change of an account that the app has taken,
// with the time when it last said so of any.
func (s *story) lastApplied(owner demo.Account) (last handover) {
	var told time.Time
	for _, h := range s.by(owner.ID) {
		if !h.applied() {
			continue
		}
		if h.sequence >= last.sequence {
			last = h
		}
		if h.told.After(told) {
			told = h.told
		}
	}
	last.told = told
	return last
}

// grantOf returns what all tokens of one grant have in common: they begin with
// its id.
func grantOf(token string) string { return token[:min(21, len(token))] }

// outcomes compares what was accepted with what the app was handed.
func (s *story) outcomes() (found []error) {
	given := s.proposals()
	byGrant, byPassword, first := map[string]map[string]bool{}, map[string]map[string]bool{}, map[string]handover{}
	sent := map[string]time.Time{} // when a password was given first: again it is the same change
	count := func(in map[string]map[string]bool, key, id string) {
		if in[key] == nil {
			in[key] = map[string]bool{}
		}
		in[key][id] = true
	}
	for _, g := range given {
		if at, ok := sent[g.password]; !ok || g.began.Before(at) {
			sent[g.password] = g.began
		}
		for _, h := range s.of(g.password) {
			if f, ok := first[h.id]; !ok {
				first[h.id] = h
			} else if f.sequence != h.sequence || f.password != h.password || f.account != h.account || f.reference != h.reference {
				found = append(found, fmt.Errorf("change %s was not handed over the same each time", h.id))
			}
			if h.account != g.owner.ID {
				found = append(found, fmt.Errorf("change %s reached account %s with a token of %s", h.id, h.account, g.owner.ID))
			}
			if h.applied() {
				count(byGrant, grantOf(g.token), h.id)
			}
			if h.status != http.StatusUnprocessableEntity {
				count(byPassword, g.password, h.id)
			}
		}
	}
	for _, ids := range byGrant {
		if len(ids) > 1 {
			found = append(found, fmt.Errorf("one grant led to %d changes that were applied", len(ids)))
		}
	}
	for _, ids := range byPassword {
		if len(ids) > 1 {
			found = append(found, fmt.Errorf("one password was handed over as %d changes", len(ids)))
		}
	}
	for _, a := range given {
		for _, b := range given {
			if a.owner != b.owner || a.password == b.password || a.answer != changed && a.answer != pending || !a.ended.Before(sent[b.password]) {
				continue
			}
			was, is := s.of(a.password), s.of(b.password)
			if len(was) > 0 && len(is) > 0 && was[0].sequence >= is[0].sequence {
				found = append(found, fmt.Errorf("the sequence of %s does not grow: %d and then %d", a.owner.Login, was[0].sequence, is[0].sequence))
			}
		}
	}
	return found
}

// newest holds that people log in with what the app took last, and that this
// is the newest that they were promised.
func (s *story) newest() (found []error) {
	given := s.proposals()
	for _, p := range s.people {
		last := s.lastApplied(p)
		if !s.logsIn(p, cmp.Or(last.password, demo.InitialPassword)) {
			found = append(found, fmt.Errorf("%s cannot log in with the password that the app took last", p.Login))
		}
		for _, g := range given {
			if g.owner == p && (g.answer == changed || g.answer == pending) && s.applied(g.password) && !s.superseded(g) && g.password != last.password {
				found = append(found, fmt.Errorf("the newest password of %s was overtaken by an older one", p.Login))
			}
		}
	}
	return found
}

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
