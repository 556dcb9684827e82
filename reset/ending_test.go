package reset_test

import (
	"bytes"
	"context"
	"slices"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// check compares what opens with what the model says.
func (m *machine) check(rt *rapid.T) {
	synctest.Wait()
	m.still.Store(true)
	defer m.still.Store(false)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.model.mails {
		if !g.held {
			continue
		}
		for n, k := range append([]key{g.link}, g.seconds...) {
			m.probe(g, n, k)
		}
	}
	if m.model.broken != "" {
		rt.Fatal(m.model.broken)
	}
}

func (m *machine) probe(g *mailed, n int, k key) {
	now := time.Now()
	must, may := m.model.mustOpen(g, k, now), m.model.mayOpen(g, k, now)
	for _, p := range m.procs {
		_, err := p.site.Look(context.Background(), k.token, client)
		if err == nil && !may {
			m.rt.Logf("%s: key %d of a mail of %s for %s", at(), n, g.seen.Format(time.DateTime), g.To.Login)
			m.model.breaks("something opens that must not")
		}
		if err != nil && must {
			m.rt.Logf("%s: key %d of a mail of %s for %s: %v", at(), n, g.seen.Format(time.DateTime), g.To.Login, err)
			m.model.breaks("a link does not open that must")
		}
	}
}

// finish heals everything and sees that all ends well: each password that was
// accepted, each account, and the store.
func (m *machine) finish() {
	m.rt.Logf("%s: all is well from now on", at())
	m.heal()
	m.mu.Lock()
	m.accounts["bob"] = []reset.Account{bob}
	m.mu.Unlock()
	if h, ok := m.store.(*kvtest.HostileStore); ok {
		h.Calm()
	}
	time.Sleep(15 * time.Minute)
	m.busy.Wait()
	m.check(m.rt)
	m.crash()
	m.sole, m.model.calm = true, false
	p := m.start(nil)
	ahead := time.Duration(0)
	if m.clocks {
		ahead = 20 * time.Hour // what was put off before the clock was set comes later
	}
	time.Sleep(3*time.Hour + ahead)
	m.mu.Lock()
	for _, e := range m.model.entries {
		if !m.model.settled(e) {
			m.rt.Logf("password %q for %s", e.password, e.mail.To.Login)
			m.model.breaks("an accepted password is lost")
		}
	}
	m.mu.Unlock()
	m.check(m.rt)
	for _, login := range []string{"alice", "bob", "mum", "family@example.com"} {
		m.succeeds(p, login)
	}
	time.Sleep(27*time.Hour + ahead)
	m.inner.View(context.Background(), func(r kv.Reader) error {
		rows, err := r.Scan(nil, nil, 1<<20)
		for _, row := range rows {
			if row.Key[0] != 'a' && row.Key[0] != 'x' || !bytes.Contains(row.Value, []byte(`"consecutive":`)) && row.Key[0] == 'a' {
				m.rt.Logf("%q: %.300s", row.Key[:1], row.Value)
				m.rt.Fatal("rows outlive their use")
			}
		}
		return err
	})
}

// succeeds sees that the owner of a login can reset its password, whatever was
// before.
func (m *machine) succeeds(p *process, login string) {
	m.mu.Lock()
	before := len(m.model.mails)
	m.mu.Unlock()
	// A link that was mailed and lost, of the longest life there is, holds the
	// mail beyond the limits back for a day.
	for range 26 {
		m.asks(p, login, 0)
		time.Sleep(time.Minute)
		m.mu.Lock()
		fresh := slices.Clone(m.model.mails[before:])
		m.mu.Unlock()
		for _, g := range slices.Backward(fresh) {
			m.enters(p, g, g.link, m.newPassword())
			time.Sleep(10 * time.Second)
			m.check(m.rt)
			m.mu.Lock()
			e := m.model.entries[len(m.model.entries)-1]
			m.mu.Unlock()
			if e.status != reset.StatusChanged {
				m.rt.Logf("%s: %s is told %q, %v", at(), login, e.status, e.err)
				m.rt.Fatal("a person cannot set a password though all is well")
			}
			return
		}
		time.Sleep(time.Hour)
	}
	m.rt.Fatal("a person gets no mail though all is well")
}

// settled reports whether an accepted password was applied, or its owner heard
// what became of it, or wanted it dropped, or it went with the store.
func (m *model) settled(e *entry) bool {
	if !e.accepted() || e.void || !e.mail.cancelled.IsZero() || e.mail.perhaps || m.heard(e) {
		return true
	}
	return slices.ContainsFunc(m.entries, func(o *entry) bool {
		if o.password == e.password && o.err == nil && o.status != reset.StatusPending && !o.lost {
			return true // a second click was told
		}
		// One that took its place, entered later or at the same time: what its
		// owner was told on the page does not tell the owner of this.
		return o != e && o.mail.account == e.mail.account && (o.ended.IsZero() || o.after > m.first(e).before) && m.heard(o)
	})
}

// heard reports whether the app has the password of an entry, or a mail tells
// that it has not. Such a mail names the time of the entry, or that when the
// owner cancelled it.
func (m *model) heard(e *entry) bool {
	if slices.ContainsFunc(m.deliveries(e), func(d *delivery) bool { return d.stored }) {
		return true
	}
	first := m.first(e)
	return slices.ContainsFunc(m.notices, func(l reset.Letter) bool {
		return l.Reference == e.mail.Reference && l.Kind != reset.LetterChanged &&
			!l.At.Before(first.begun.Truncate(time.Millisecond)) && (!l.At.After(e.ended) || e.mail.doubt)
	})
}
