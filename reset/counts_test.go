package reset_test

import (
	"slices"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// counts are what a model knows of the limits of an account. Where a fault may
// have hidden something, only the upper bounds hold.
type counts struct {
	guesses []time.Time // wrong codes that may have been counted
	cleared time.Time   // when a completed change surely began the count anew

	mails  []time.Time // when a job was first seen to mail
	jobs   map[string]bool
	today  int // wrong codes that were surely counted in the day since
	since  time.Time
	unsure time.Time // when one may or may not have been counted
}

// mayBeOff reports whether codes may be off for the account.
func (c *counts) mayBeOff(now time.Time) bool {
	today, row := 0, 0
	for _, at := range c.guesses {
		if now.Sub(at) <= 24*time.Hour+lag {
			today++
		}
		if !at.Before(c.cleared.Add(-lag)) {
			row++
		}
	}
	return today >= 20 || row >= 100
}

// mustBeOff reports whether they surely are.
func (c *counts) mustBeOff(now time.Time) bool {
	sure := c.unsure.IsZero() || now.Sub(c.unsure) > 48*time.Hour
	return sure && c.today >= 20 && now.Add(lag).Sub(c.since) < 24*time.Hour
}

// mayBeSpent reports whether the tries of a code that was mailed then may be used
// up: a newer mail gives it none back.
func (c *counts) mayBeSpent(mailed time.Time) bool {
	n := 0
	for _, at := range c.guesses {
		if !at.Before(mailed.Add(-lag)) {
			n++
		}
	}
	return n >= 5
}

// newest returns when the account's newest mail was seen.
func (m *model) newest(account string) (at time.Time) {
	for _, g := range m.mails {
		if g.account == account {
			at = g.seen
		}
	}
	return at
}

// ofNow reports whether a notice can be about a change that was completed since
// the clock was last set: the times of others say nothing about what came first.
func (m *model) ofNow(l reset.Letter) bool {
	return slices.ContainsFunc(m.entries, func(e *entry) bool {
		return e.mail.Reference == l.Reference && e.taken() && (e.ended.IsZero() || e.after > m.since)
	})
}

// sends judges a mail that the relay is given.
func (m *model) sends(l reset.Letter, held bool, now time.Time) {
	if l.Kind != reset.LetterReset {
		m.notices = append(m.notices, l)
		if l.Kind == reset.LetterChanged && m.ofNow(l) {
			p := m.person(l.To.ID)
			p.done, p.counts.cleared = append(p.done, l.At), l.At
		}
		return
	}
	p := m.person(l.To.ID)
	c := &p.counts
	if m.gone[l.MessageID] {
		m.breaks("a mail is sent that the operator has dropped")
	}
	if m.calm && !c.jobs[l.MessageID] && !m.desk[l.Reference] && !c.permits(now) {
		m.breaks("an account gets more mails than its limits allow")
	}
	if c.jobs == nil {
		c.jobs = map[string]bool{}
	}
	if !c.jobs[l.MessageID] {
		c.mails = append(c.mails, now)
	}
	c.jobs[l.MessageID] = true
	switch {
	case l.Code == "" && !c.mayBeOff(now):
		m.breaks("codes are off though few were guessed")
	case l.Code != "" && m.calm && c.mustBeOff(now):
		m.breaks("codes are on though many were guessed")
	}
	g := &mailed{Letter: l, account: l.To.ID, era: m.era, seen: now, held: held, doubt: m.mailedLate(l.Reference, p)}
	if m.gone[l.Reference] {
		g.cancelled = now
	}
	g.names = []string{m.asked[l.Reference], l.To.Login, l.To.Email}
	g.link = key{token: token(l.Link), open: now.Add(l.LinkTTL - lag), shut: now.Add(l.LinkTTL)}
	g.code = key{token: l.Code, open: now.Add(l.CodeTTL - lag), shut: now.Add(l.CodeTTL)}
	m.mails = append(m.mails, g)
}

// permits reports whether the limits allow a mail now.
func (c *counts) permits(now time.Time) bool {
	if n := len(c.mails); n > 0 && now.Add(lag).Sub(c.mails[n-1]) >= reset.DefaultLinkTTL {
		return true // without a live link there is one for each life of a link
	}
	for _, w := range reset.DefaultPerAccount() {
		if n := len(c.mails); n >= w.N && now.Add(lag).Sub(c.mails[n-w.N]) < w.Per {
			return false
		}
	}
	return true
}

// A guessed is a code that somebody enters.
type guessed struct {
	begun time.Time
	right *mailed   // whose code it is
	must  bool      // it had to be taken when it began
	not   bool      // it could not
	near  []*mailed // whose codes it may be compared with

	accounts []string // where it may be counted
	blur     []string // accounts whose codes may be off already
}

// guesses notes that somebody enters a code with a login, which stands for these
// accounts: a mail that was never seen may have left a code to compare with.
func (m *model) guesses(login, code string, accounts []reset.Account, now time.Time) *guessed {
	u := &guessed{begun: now}
	for _, a := range accounts {
		u.accounts = append(u.accounts, a.ID)
	}
	for _, g := range m.mails {
		if g.Code == "" || !g.hasName(login) {
			continue
		}
		u.near = append(u.near, g)
		if !slices.Contains(u.accounts, g.account) {
			u.accounts = append(u.accounts, g.account)
		}
		if g.Code == code {
			u.right = g
		}
	}
	if u.right != nil {
		u.must, u.not = m.mustTake(u.right, now), m.mustRefuse(u.right, now)
	}
	for _, account := range u.accounts {
		c := &m.person(account).counts
		if c.mayBeOff(now) && !c.mustBeOff(now) {
			u.blur = append(u.blur, account)
		}
		if !u.must {
			c.guesses = append(c.guesses, now)
		}
	}
	return u
}

// hasName reports whether the code of a mail may be entered with a login.
func (g *mailed) hasName(login string) bool {
	return slices.ContainsFunc(g.names, func(name string) bool { return reset.Fold(name) == reset.Fold(login) })
}

func (m *model) mustTake(g *mailed, now time.Time) bool {
	c := &m.person(g.account).counts
	return m.mustOpen(g, g.link, now) && now.Add(m.skew).Before(g.code.open) &&
		!c.mayBeSpent(g.seen) && !c.mayBeOff(now)
}

func (m *model) mustRefuse(g *mailed, now time.Time) bool {
	c := &m.person(g.account).counts
	spent := m.calm && (g.tries >= 5 || c.mustBeOff(now))
	return spent || !m.mayOpen(g, g.link, now) || !now.Before(g.code.shut)
}

// judged judges the answer to a guess.
func (m *model) judged(u *guessed, tokenText string, err error, now time.Time) {
	switch {
	case err == nil && u.right == nil:
		m.breaks("a wrong code is taken")
	case err == nil && u.not:
		m.breaks("a code is taken that must not be")
	case err == reset.ErrCode && u.must && m.mustTake(u.right, now):
		m.breaks("the right code is refused")
	case err == reset.ErrUnavailable && m.calm, err != nil && err != reset.ErrCode && err != reset.ErrUnavailable:
		m.breaks("a code is not judged though nothing is wrong")
	case err == nil:
		g := u.right
		for n := range g.seconds {
			if !m.calm || n <= len(g.seconds)-3 {
				g.seconds[n].open = time.Time{} // newer ones may push it out
			}
		}
		g.seconds = append(g.seconds, key{token: tokenText, open: g.code.open, shut: g.code.shut})
	}
	if err != nil {
		m.counted(u, err, now)
	}
}

// counted notes a wrong code where it surely was one of the five.
func (m *model) counted(u *guessed, err error, now time.Time) {
	for _, account := range u.accounts {
		c := &m.person(account).counts
		compared := slices.ContainsFunc(u.near, func(g *mailed) bool {
			return g.account == account && g.tries < 5 && m.mustOpen(g, g.link, now) && now.Add(m.skew).Before(g.code.open)
		})
		fresh := !m.newest(account).Before(u.begun.Add(-lag))
		if err != reset.ErrCode || !compared || fresh || slices.Contains(u.blur, account) {
			c.unsure = now
			continue
		}
		if c.mustBeOff(now) {
			continue
		}
		for _, g := range u.near {
			if g.account == account {
				g.tries++
			}
		}
		if c.today == 0 || now.Sub(c.since) >= 24*time.Hour {
			c.since, c.today = now, 0
		}
		c.today++
	}
}
