package reset_test

import (
	"slices"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	// lag is more than an Update of the machine's store takes.
	lag = 200 * time.Millisecond
	// settling is more than it takes to store an outcome.
	settling = 10 * time.Second
)

// A model says what must hold, from what can be seen outside: the mails at the
// relay, the attempts at the app, and what people were told. Of a link it says
// one of three things: it must open, it must not, or, where a fault leaves open
// what was stored, nothing.
type model struct {
	skew    time.Duration // how far the clocks of processes may differ
	calm    bool          // no fault of the store, and no crash: counts are exact
	era     int           // raised when an older copy of the store is put back
	clock   int           // counts what happens, also when the clock is set back
	since   int           // of this clock: when the other was last set back
	mails   []*mailed
	entries []*entry
	tried   map[string]*delivery // by change id
	people  map[string]*person   // by account id
	asked   map[string]string    // login by reference
	taken   map[string]time.Time // when it was, by reference
	desk    map[string]bool      // references of the help desk
	gone    map[string]bool      // references and jobs that the operator has ended
	notices []reset.Letter
	broken  string // the first rule that was broken
}

// A mailed is a reset mail as the relay saw it, with its grant.
type mailed struct {
	reset.Letter
	account   string
	era       int
	names     []string // that its code may be entered with
	seen      time.Time
	held      bool // somebody has it
	link      key
	seconds   []key // what its code was answered with
	code      key
	refusals  int
	tries     int       // wrong codes that were surely counted since
	cancelled time.Time // somebody was told that it is
	perhaps   bool      // somebody cancelled it, and nobody knows whether that was stored
	doubt     bool      // something may have ended it
}

// A key opens its grant before open, and does not from shut on.
type key struct {
	token      string
	open, shut time.Time
}

// An entry is a new password that somebody entered with a mail.
type entry struct {
	mail          *mailed
	password      string
	era           int
	begun, ended  time.Time
	before, after int // of the model's clock
	must          bool
	lost          bool // nobody was there any more to answer
	copied, void  bool // was accepted when the store was copied; went with the store
	status        reset.Status
	err           error
}

// A delivery is a change as the app saw it.
type delivery struct {
	change  reset.Change
	entry   *entry
	verdict reset.Verdict // of the newest attempt that was answered
	applied []time.Time   // when it was answered with "applied"
	stored  bool          // the app has the password
}

// A person is an account.
type person struct {
	flying int

	revoking int       // revocations under way
	revoked  time.Time // when the last one ended

	top    int64       // highest sequence that the app saw
	done   []time.Time // when changes were completed, by their notices
	maybe  time.Time   // when the app last answered "applied"
	counts counts
}

func (m *model) person(id string) *person {
	if m.people[id] == nil {
		m.people[id] = &person{}
	}
	return m.people[id]
}

// breaks notes that a rule is broken. The words are the same for the same
// rule, so that shrinking keeps to one.
func (m *model) breaks(rule string) {
	if m.broken == "" {
		m.broken = rule
	}
}

func (m *model) tick() int { m.clock++; return m.clock }

// mustOpen reports whether nothing can have ended the grant for this key.
func (m *model) mustOpen(g *mailed, k key, now time.Time) bool {
	maybe := m.person(g.account).maybe
	switch {
	case !g.held || g.doubt || g.era < m.era || !now.Add(m.skew).Before(k.open):
		return false
	case !maybe.IsZero() && !maybe.Add(settling).Before(g.seen.Add(-lag)):
		return false // also what is minted between the app's answer and its storing
	}
	return !slices.ContainsFunc(m.entries, func(e *entry) bool { return e.mail == g && e.taken() })
}

// mayOpen reports whether the grant may still open for this key.
func (m *model) mayOpen(g *mailed, k key, now time.Time) bool {
	if !g.cancelled.IsZero() || g.era < m.era {
		return false
	}
	if slices.ContainsFunc(m.entries, func(e *entry) bool { return e.mail == g && e.taken() && !m.completed(e) }) {
		return true // a change stands on it: its outcome may be asked for
	}
	ended := slices.ContainsFunc(m.person(g.account).done, func(at time.Time) bool { return at.After(g.seen) })
	return !ended && now.Before(k.shut)
}

// taken reports whether the entry may have become a change that was not given
// back.
func (e *entry) taken() bool {
	if e.ended.IsZero() || e.lost || e.err == reset.ErrUnavailable {
		return true
	}
	return e.err == nil && e.status != reset.StatusRefused
}

// accepted reports whether somebody was promised that the password counts.
func (e *entry) accepted() bool {
	return !e.ended.IsZero() && !e.lost && e.err == nil && (e.status == reset.StatusPending || e.status == reset.StatusChanged)
}

// deliveries returns what the app saw of an entry.
func (m *model) deliveries(e *entry) (of []*delivery) {
	for _, d := range m.tried {
		if d.change.Password == e.password {
			of = append(of, d)
		}
	}
	return of
}

// completed reports whether the change of an entry was applied and stored as
// such.
func (m *model) completed(e *entry) bool {
	return slices.ContainsFunc(m.deliveries(e), func(d *delivery) bool {
		return slices.ContainsFunc(d.applied, func(at time.Time) bool {
			return slices.ContainsFunc(m.person(e.mail.account).done, func(done time.Time) bool { return !done.Before(at) })
		})
	})
}

// enters notes that somebody enters a password.
func (m *model) enters(g *mailed, k key, password string, now time.Time) *entry {
	e := &entry{mail: g, password: password, era: m.era, begun: now, before: m.tick(), must: m.mustOpen(g, k, now)}
	m.entries = append(m.entries, e)
	return e
}

// told judges what they are told.
func (m *model) told(e *entry, k key, now time.Time) {
	e.ended, e.after = now, m.tick()
	if e.lost {
		return
	}
	verdict, final := map[reset.Status]reset.Verdict{
		reset.StatusChanged: reset.Applied, reset.StatusRefused: reset.Refused,
		reset.StatusGone: reset.Gone, reset.StatusSuperseded: reset.Superseded,
	}[e.status]
	switch {
	case e.err == reset.ErrGrant:
		if e.must && m.mustOpen(e.mail, k, now) {
			m.breaks("a link is refused that must open")
		}
	case e.err == reset.ErrUnavailable && m.calm:
		m.breaks("a password is not taken though nothing is wrong")
	case e.err != nil && e.err != reset.ErrUnavailable, e.err == nil && !final && e.status != reset.StatusPending:
		m.breaks("somebody is told what nobody should be")
	case final && !slices.ContainsFunc(m.deliveries(e), func(d *delivery) bool {
		return d.verdict == verdict || verdict == reset.Applied && len(d.applied) > 0
	}):
		m.breaks("somebody is told what the app has not said")
	}
	if e.err == nil && e.status == reset.StatusRefused {
		e.mail.refused(now, m)
	}
}

// refused notes that somebody was told that the same link works on.
func (g *mailed) refused(now time.Time, m *model) {
	g.refusals++
	if g.refusals > 8 || slices.ContainsFunc(m.entries, func(o *entry) bool { return o.mail.account == g.account && o.taken() }) {
		g.doubt = true // another change of the account was on its way
	}
	g.prolong(now.Add(-settling), true)
}

// prolong is what a refusal by the app does to a grant, and surely so if that
// was stored.
func (g *mailed) prolong(refused time.Time, sure bool) {
	until := refused.Add(10 * time.Minute)
	if latest := g.seen.Add(reset.MaxLinkTTL); until.After(latest) {
		until = latest
	}
	stretch := func(k *key) {
		if k.shut.Before(until) && !sure {
			k.shut = until
		}
		if early := until.Add(-lag); k.open.Before(early) && sure {
			k.open = early
		}
	}
	stretch(&g.link)
	for n := range g.seconds {
		stretch(&g.seconds[n])
	}
}

// begins judges the beginning of an attempt at the app.
func (m *model) begins(c reset.Change, now time.Time) *delivery {
	c.Account = reset.Account{ID: c.Account.ID} // its address may change in between
	p := m.person(c.Account.ID)
	p.flying++
	if p.flying > 1 {
		m.breaks("two attempts for one account at once")
	}
	d := m.tried[c.ID]
	if d == nil {
		n := slices.IndexFunc(m.entries, func(e *entry) bool { return e.password == c.Password })
		if n < 0 {
			m.breaks("the app gets a password that nobody entered")
			return &delivery{change: c}
		}
		d = &delivery{change: c, entry: m.entries[n]}
		m.tried[c.ID] = d
		if c.Sequence <= p.top {
			m.breaks("a new change has no higher sequence")
		}
	}
	g := d.entry.mail
	switch {
	case c != d.change:
		m.breaks("two attempts under one id differ")
	case g.account != c.Account.ID:
		m.breaks("a link changes the password of another account")
	case c.Sequence < p.top:
		m.breaks("an older change is tried after a newer one")
	case m.replaced(d.entry, now):
		m.breaks("a change is tried that a newer one has replaced")
	case !g.cancelled.IsZero() && g.cancelled.Add(time.Second).Before(now):
		m.breaks("a change is tried whose grant was cancelled")
	case d.entry.era < m.era:
		m.breaks("a change of an older copy of the store is tried")
	case m.overdue(d.entry, now):
		m.breaks("a change is tried after its deadline")
	}
	for _, o := range m.tried {
		if o != d && o.entry.mail == g && o.verdict != reset.Refused {
			m.breaks("one grant brings two changes")
		}
	}
	p.top = max(p.top, c.Sequence)
	return d
}

// replaced reports whether somebody entered another password after all who
// entered this one had their answer, and was told that it counts.
func (m *model) replaced(e *entry, now time.Time) bool {
	last := 0
	for _, o := range m.entries {
		if o.password == e.password {
			if o.ended.IsZero() {
				return false
			}
			last = max(last, o.after)
		}
	}
	return slices.ContainsFunc(m.entries, func(o *entry) bool {
		return o.mail.account == e.mail.account && o == m.first(o) && o.accepted() && o.before > last && o.ended.Add(lag).Before(now)
	})
}

// overdue reports whether all who entered this password did so more than a day ago:
// what was not taken at first is entered again.
func (m *model) overdue(e *entry, now time.Time) bool {
	return !slices.ContainsFunc(m.entries, func(o *entry) bool {
		return o.password == e.password && now.Sub(o.begun) <= 24*time.Hour+time.Minute
	})
}

// first returns the entry of the same password that came first: the others are
// clicks on the same button.
func (m *model) first(e *entry) *entry {
	return m.entries[slices.IndexFunc(m.entries, func(o *entry) bool { return o.password == e.password })]
}

// answers notes what the app answered; cut means that nobody heard it.
func (m *model) answers(d *delivery, v reset.Verdict, cut bool, now time.Time) {
	p := m.person(d.change.Account.ID)
	p.flying--
	if cut || d.entry == nil {
		return
	}
	d.verdict = v
	switch v {
	case reset.Applied:
		d.applied = append(d.applied, now)
		p.maybe = now
	case reset.Refused:
		d.entry.mail.prolong(now.Add(settling), false)
	}
}

// copies notes that the store is copied, and restores that the copy is put back.
func (m *model) copies() {
	for _, e := range m.entries {
		e.copied = !e.ended.IsZero()
	}
}

func (m *model) restores() {
	m.era++
	clear(m.gone)
	for _, e := range m.entries {
		e.void = e.void || !e.copied
	}
	m.forgets()
}

// setBack notes that the clock shows an earlier time from now on: nothing is
// sure of what was stored before.
func (m *model) setBack() {
	m.since = m.tick()
	for _, g := range m.mails {
		g.doubt = true
	}
	m.forgets()
}

// forgets notes that what ended earlier may stand again.
func (m *model) forgets() {
	for _, p := range m.people {
		p.done, p.maybe, p.counts.cleared = nil, time.Time{}, time.Time{}
	}
}
