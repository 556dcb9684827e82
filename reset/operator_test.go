package reset_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// send has the help desk mail somebody, past the limits.
func (m *machine) send(rt *rapid.T) {
	login := rapid.SampledFrom([]string{"alice", "bob", "family@example.com"}).Draw(rt, "login")
	p := m.some(rt)
	m.busy.Go(func() {
		ref, err := p.site.Send(context.Background(), login)
		m.mu.Lock()
		defer m.mu.Unlock()
		switch {
		case p.isDead():
		case err == nil:
			m.model.asks(ref, login, time.Now())
			m.model.desk[ref] = true
		case m.model.calm || err != reset.ErrUnavailable:
			m.model.breaks("the help desk's mail is not taken though nothing is wrong")
		}
	})
	shortly(rt)
}

// revoke has the operator end all that a login has.
func (m *machine) revoke(rt *rapid.T) {
	login := rapid.SampledFrom([]string{"alice", "ALICE", "bob", "family@example.com", "mum"}).Draw(rt, "login")
	p := m.some(rt)
	m.busy.Go(func() {
		m.mu.Lock()
		r := m.model.revokes(login, m.accounts[login], time.Now())
		m.mu.Unlock()
		done, err := p.site.Revoke(context.Background(), login)
		m.mu.Lock()
		defer m.mu.Unlock()
		sure := err == nil && done.Unasked == nil && !p.isDead()
		m.model.revoked(r, m.accounts[login], sure, time.Now())
		m.rt.Logf("%s: revoking %s: %+v, %v", at(), login, done, err)
	})
	shortly(rt)
}

// job has the operator try a job at once, or drop it. Who drops a notice wants
// that nobody hears of it.
func (m *machine) job(rt *rapid.T) {
	p := m.some(rt)
	jobs, err := p.site.Waiting(context.Background(), 20)
	if err != nil || len(jobs) == 0 {
		rt.Skip("nothing waits")
	}
	j := jobs[rapid.IntRange(0, len(jobs)-1).Draw(rt, "job")]
	drop := j.Kind != "notice" && rapid.Bool().Draw(rt, "drop")
	m.busy.Go(func() {
		act := p.svc.RetryJob
		if drop {
			act = p.svc.DropJob
		}
		m.mu.Lock()
		m.model.drops(j, drop)
		m.mu.Unlock()
		err := act(context.Background(), j.ID)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.rt.Logf("%s: the %s of %s (dropped %v): %v", at(), j.Kind, j.Reference, drop, err)
		switch {
		case p.isDead() || errors.Is(err, reset.ErrJob) || errors.Is(err, reset.ErrJobBusy):
		case err == nil && drop:
			m.model.gone[j.ID] = true
		case err != nil && (m.model.calm || !errors.Is(err, kv.ErrUnknown)):
			m.model.breaks("a job is not touched though nothing is wrong")
		}
	})
	shortly(rt)
}

// asks notes that a request was taken.
func (m *model) asks(reference, login string, now time.Time) {
	m.asked[reference], m.taken[reference] = login, now
}

// A revoking is a revocation under way.
type revoking struct {
	login    string
	begun    time.Time
	accounts []string // that the login stands for
	known    []string // and those that were mailed for it before
}

// revokes notes that the operator begins to revoke a login of these accounts.
// From then on their links may have ended, and their codes be on again.
func (m *model) revokes(login string, accounts []reset.Account, now time.Time) revoking {
	r := revoking{login: login, begun: now}
	for _, a := range accounts {
		r.accounts = append(r.accounts, a.ID)
	}
	r.known = slices.Clone(r.accounts)
	for _, g := range m.mails {
		if g.hasName(login) && !slices.Contains(r.known, g.account) {
			r.known = append(r.known, g.account)
		}
	}
	for _, account := range r.known {
		p := m.person(account)
		p.revoking++
		p.blurred(now)
	}
	for _, g := range m.mails {
		g.doubt = g.doubt || slices.Contains(r.known, g.account)
	}
	return r
}

// revoked notes that it has ended. If that is sure, what was mailed before it began
// to the accounts that the login still stands for has ended with it, and so has
// what was asked for with the login.
func (m *model) revoked(r revoking, accounts []reset.Account, sure bool, now time.Time) {
	for _, account := range r.known {
		p := m.person(account)
		p.revoking--
		p.revoked = now
		p.blurred(now)
	}
	if !sure {
		return
	}
	for _, g := range m.mails {
		still := slices.ContainsFunc(accounts, func(a reset.Account) bool { return a.ID == g.account })
		if still && slices.Contains(r.accounts, g.account) && g.seen.Before(r.begun) && g.cancelled.IsZero() {
			g.cancelled = now
		}
	}
	for reference, login := range m.asked {
		if reset.Fold(login) == reset.Fold(r.login) && m.taken[reference].Before(r.begun) {
			m.gone[reference] = true
		}
	}
}

// blurred notes that wrong codes may no longer be counted.
func (p *person) blurred(now time.Time) { p.counts.today, p.counts.unsure = 0, now }

// mailedLate reports whether a mail may be of before a revocation, and its link
// dead from the start.
func (m *model) mailedLate(reference string, p *person) bool {
	return p.revoking > 0 || !p.revoked.IsZero() && !m.taken[reference].After(p.revoked)
}

// drops notes that a job may be dropped: the link of a change ends with it.
func (m *model) drops(j reset.WaitingJob, drop bool) {
	for _, g := range m.mails {
		g.doubt = g.doubt || drop && j.Kind == "change" && g.Reference == j.Reference
	}
}
