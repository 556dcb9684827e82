package reset_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// actions are the steps of a machine, and what is checked around each.
func (m *machine) actions() map[string]func(*rapid.T) {
	steps := map[string]func(*rapid.T){
		"ask":         m.ask,
		"ask more":    m.ask,
		"enter":       m.enter,
		"enter more":  m.enter,
		"enter twice": m.enterTwice,
		"crowd":       m.crowd,
		"guess":       m.guess,
		"besiege":     m.besiege,
		"cancel":      m.cancel,
		"send":        m.send,
		"revoke":      m.revoke,
		"job":         m.job,
		"forge":       m.forge,
		"pause":       m.pause,
		"rest":        m.pause,
		"edge":        m.edge,
		"app":         func(rt *rapid.T) { m.set(&m.app, mode(rt, apps)) },
		"app heals":   func(*rapid.T) { m.set(&m.app, "takes") },
		"relay":       func(rt *rapid.T) { m.set(&m.relay, mode(rt, relays)) },
		"relay heals": func(*rapid.T) { m.set(&m.relay, "takes mail") },
		"directory":   m.directory,
		"reload":      m.reload,
	}
	if !m.model.calm {
		steps["crash"] = m.crashOne
		steps["disk"] = m.disk
	}
	if !m.model.calm && !m.clocks {
		// Who puts an older copy back and the clock too has lost all that a
		// sequence could be made from.
		steps["restore"] = m.restore
	}
	if !m.sole {
		steps["another process"] = m.another
	}
	counted := map[string]func(*rapid.T){"": m.check}
	for name, step := range steps {
		counted[name] = func(rt *rapid.T) { step(rt); m.steps++ }
	}
	return counted
}

func pauses(rt *rapid.T, of ...time.Duration) time.Duration {
	return rapid.SampledFrom(of).Draw(rt, "pause")
}

func mode[V any](rt *rapid.T, of map[string]V) string {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(of))).Draw(rt, "mode")
}

// shortly lets a little time pass, so that steps overlap or not.
func shortly(rt *rapid.T) {
	time.Sleep(pauses(rt, 0, time.Second, 3*time.Second, 20*time.Millisecond, 10*time.Second, 200*time.Millisecond))
}

func (m *machine) set(what *string, mode string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*what = mode
}

// some returns a process. While none runs there is nothing that people can do.
func (m *machine) some(rt *rapid.T) *process {
	return m.procs[rapid.IntRange(0, len(m.procs)-1).Draw(rt, "process")]
}

// mail returns a mail that somebody has, as a rule one of the last.
func (m *machine) mail(rt *rapid.T) *mailed {
	m.mu.Lock()
	var held []*mailed
	for _, g := range slices.Backward(m.model.mails) {
		if g.held && len(held) < 8 {
			held = append(held, g)
		}
	}
	m.mu.Unlock()
	if len(held) == 0 {
		rt.Skip("nobody has a mail")
	}
	return held[rapid.IntRange(0, len(held)-1).Draw(rt, "mail")]
}

func (m *machine) ask(rt *rapid.T) {
	login := rapid.SampledFrom([]string{"alice", "ALICE", "bob", "alice@example.com", "family@example.com", "mum", "carol", "nobody"}).Draw(rt, "login")
	ttl := pauses(rt, 0, 5*time.Minute, time.Hour, 24*time.Hour)
	p := m.some(rt)
	m.busy.Go(func() { m.asks(p, login, ttl) })
	shortly(rt)
}

func (m *machine) asks(p *process, login string, ttl time.Duration) {
	ref, err := p.site.Request(context.Background(), reset.Request{Login: login, LinkTTL: ttl})
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case p.isDead():
	case err == nil:
		m.model.asks(ref, login, time.Now())
	case m.model.calm || err != reset.ErrUnavailable:
		m.model.breaks("a request is not taken though nothing is wrong")
	}
}

func (m *machine) enter(rt *rapid.T) {
	g, p := m.mail(rt), m.some(rt)
	m.enters(p, g, m.key(rt, g), m.password(rt, g))
	shortly(rt)
}

func (m *machine) enterTwice(rt *rapid.T) {
	g := m.mail(rt)
	k := m.key(rt, g)
	first := m.password(rt, g)
	second := first
	if rapid.Bool().Draw(rt, "other password") {
		second = m.password(rt, g)
	}
	m.enters(m.some(rt), g, k, first)
	time.Sleep(pauses(rt, 0, 50*time.Millisecond, time.Second))
	m.enters(m.some(rt), g, k, second)
	shortly(rt)
}

// crowd enters passwords with all mails of one account, one soon after the other,
// while the app takes its time.
func (m *machine) crowd(rt *rapid.T) {
	g := m.mail(rt)
	m.set(&m.app, rapid.SampledFrom([]string{"takes slowly", "refuses slowly", "fails slowly", "takes and hangs", "hangs"}).Draw(rt, "mode"))
	m.mu.Lock()
	var open []*mailed
	for _, o := range m.model.mails {
		if o.account == g.account && m.model.mustOpen(o, o.link, time.Now()) {
			open = append(open, o)
		}
	}
	m.mu.Unlock()
	for _, o := range open {
		m.enters(m.some(rt), o, o.link, m.newPassword())
		time.Sleep(pauses(rt, time.Second, 0, 3*time.Second))
	}
}

// key returns a token that opens the grant of a mail.
func (m *machine) key(rt *rapid.T, g *mailed) key {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := append([]key{g.link}, g.seconds...)
	return keys[rapid.IntRange(0, len(keys)-1).Draw(rt, "key")]
}

// password returns a new password or, as in a double click, the last one
// entered with the mail.
func (m *machine) password(rt *rapid.T, g *mailed) string {
	again := rapid.IntRange(0, 3).Draw(rt, "again") == 3
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range slices.Backward(m.model.entries) {
		if again && e.mail == g {
			return e.password
		}
	}
	return m.nextPassword()
}

// newPassword returns one that nobody has entered.
func (m *machine) newPassword() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nextPassword()
}

func (m *machine) nextPassword() string {
	m.words++
	return fmt.Sprintf("a long password, the %d.", m.words)
}

// enters has somebody enter a password and wait for the answer.
func (m *machine) enters(p *process, g *mailed, k key, password string) {
	m.mu.Lock()
	e := m.model.enters(g, k, password, time.Now())
	m.mu.Unlock()
	m.busy.Go(func() {
		r, err := p.site.Change(context.Background(), reset.NewPassword{Token: k.token, Password: password})
		m.mu.Lock()
		defer m.mu.Unlock()
		e.status, e.err, e.lost = r.Status, err, p.isDead()
		m.model.told(e, k, time.Now())
		m.rt.Logf("%s: %q for %s is %q, %v (lost %v)", at(), password, g.To.Login, r.Status, err, e.lost)
	})
}

// guess enters codes, some at once: wrong ones, or the right one after them.
func (m *machine) guess(rt *rapid.T) {
	g := m.mail(rt)
	login := rapid.SampledFrom([]string{g.To.Login, g.To.Email}).Draw(rt, "login")
	if rapid.IntRange(0, 2).Draw(rt, "late") == 2 {
		m.passes(max(time.Until(g.code.shut), 0))
	}
	p := m.some(rt)
	for n := range rapid.SampledFrom([]int{0, 1, 4, 5, 7}).Draw(rt, "wrong codes") {
		m.busy.Go(func() { m.guesses(p, login, wrong(g.Code, n)) })
	}
	time.Sleep(pauses(rt, time.Second, 0))
	if rapid.Bool().Draw(rt, "right code") && g.Code != "" {
		m.busy.Go(func() { m.guesses(p, login, g.Code) })
	}
	shortly(rt)
}

func (m *machine) guesses(p *process, login, code string) {
	m.mu.Lock()
	u := m.model.guesses(login, code, m.accounts[login], time.Now())
	m.mu.Unlock()
	text, err := p.site.Code(context.Background(), reset.CodeEntry{Login: login, Code: code})
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.isDead() {
		return
	}
	m.model.judged(u, text, err, time.Now())
}

// besiege guesses at an account as fast as new mails let it, for days.
func (m *machine) besiege(rt *rapid.T) {
	login := rapid.SampledFrom([]string{"alice", "bob", "mum"}).Draw(rt, "login")
	p := m.some(rt)
	wrongs := rapid.SampledFrom([]int{5, 0}).Draw(rt, "wrong codes")
	mails := rapid.SampledFrom([]int{5, 1, 30}).Draw(rt, "mails")
	if mails == 30 {
		m.room()
	}
	for range mails {
		m.asks(p, login, 0)
		time.Sleep(4 * time.Second)
		for n := range wrongs {
			m.guesses(p, login, fmt.Sprintf("%08d", n))
		}
		time.Sleep(2 * time.Minute)
		if m.sole && mails == 30 {
			time.Sleep(2 * time.Hour)
		}
	}
	m.rt.Logf("%s: besieged %s", at(), login)
}

func (m *machine) cancel(rt *rapid.T) {
	g, p := m.mail(rt), m.some(rt)
	m.busy.Go(func() {
		m.mu.Lock()
		g.doubt = true
		m.mu.Unlock()
		err := p.site.Cancel(context.Background(), token(g.CancelLink), client)
		m.mu.Lock()
		defer m.mu.Unlock()
		switch {
		case err == nil && !p.isDead():
			g.cancelled = time.Now()
		case err == nil || errors.Is(err, reset.ErrUnavailable):
			g.perhaps = true
		}
		m.rt.Logf("%s: cancelling a mail for %s: %v", at(), g.To.Login, err)
	})
	shortly(rt)
}

// forge uses what a mail holds for what it is not good for.
func (m *machine) forge(rt *rapid.T) {
	g, o, p := m.mail(rt), m.mail(rt), m.some(rt)
	link, cancel, other := token(g.Link), token(g.CancelLink), token(o.Link)
	forged := []string{cancel}
	if o != g {
		forged = append(forged, link[:22]+other[22:])
	}
	for _, tok := range forged {
		_, err := p.site.Change(context.Background(), reset.NewPassword{Token: tok, Password: good})
		if _, look := p.site.Look(context.Background(), tok, client); err != reset.ErrGrant || look != reset.ErrGrant {
			rt.Fatal("a forged token opens something")
		}
	}
	if p.site.Cancel(context.Background(), link, client) == nil {
		rt.Fatal("a link cancels")
	}
}

// at is the time, for people who read what a machine did.
func at() string { return time.Now().Format("Jan 2 15:04:05.000") }
