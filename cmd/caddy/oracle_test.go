package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
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
