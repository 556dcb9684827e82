package reset_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A process is one running copy of the program, and its way to the store, the
// relay, the directory and the app. Once it is dead nothing that it still does
// has any effect.
type process struct {
	m      *machine
	shared *reset.Shared
	svc    *reset.Service
	site   *reset.Site
	dead   chan struct{}
}

// newProcess starts a process, or, after a reload, another service in one.
func newProcess(m *machine, old *process) *process {
	p := &process{m: m, shared: reset.NewShared(), dead: make(chan struct{})}
	if old != nil {
		p.shared, p.dead = old.shared, old.dead
	}
	svc, err := reset.New(reset.Config{
		Store: store{m.store, p}, Indexer: kvtest.Indexer{}, Era: uint64(m.model.era), Exclusive: m.sole, Shared: p.shared,
		Sites: []reset.SiteConfig{{
			ID: "app.example.com", Directory: p, Target: p, Composer: composer{}, Mailer: p,
			Passwords: policy{}, Links: links{}, PerAccount: m.limits,
		}},
	})
	if err != nil {
		m.rt.Fatal(err)
	}
	for n := 0; ; n++ {
		if err = svc.Start(context.Background()); err == nil {
			break
		}
		if n == 50 || m.model.calm {
			m.rt.Fatalf("a service does not start: %v", err)
		}
		time.Sleep(time.Second)
	}
	p.svc, p.site = svc, svc.Site("app.example.com")
	return p
}

func (p *process) isDead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// waits lets time pass in the life of a process, and reports whether it and
// the call lived to see the end.
func (p *process) waits(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
	case <-p.dead:
	}
	return false
}

// A store is a process's way to the store that all share. An update takes some
// time before and after its commit: the process may die in between, or another
// one be quicker. A view takes so little that only no two workers ever wake at
// one instant, which would be in an order that no seed decides.
type store struct {
	kv.Store
	p *process
}

var errDead = errors.New("the process is dead")

func (s store) View(ctx context.Context, fn func(kv.Reader) error) error {
	if s.p.m.still.Load() {
		return s.Store.View(ctx, fn)
	}
	if before, _, _ := s.p.m.delays(); !s.p.waits(ctx, before/1000) {
		return errDead
	}
	return s.Store.View(ctx, fn)
}

func (s store) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if s.p.m.still.Load() {
		return s.Store.Update(ctx, fn)
	}
	before, after, full := s.p.m.delays()
	if !s.p.waits(ctx, before) || full {
		return fmt.Errorf("%w: %w", kv.ErrUnknown, errDead)
	}
	err := s.Store.Update(ctx, fn)
	if !s.p.waits(context.Background(), after) {
		return fmt.Errorf("%w: %w", kv.ErrUnknown, errDead)
	}
	return err
}

// Lookup implements reset.Directory.
func (p *process) Lookup(ctx context.Context, login string) ([]reset.Account, error) {
	mode, found := p.m.look(login)
	switch mode {
	case "fails":
		return nil, errors.New("503")
	case "hangs":
		p.waits(ctx, time.Hour)
		return nil, errors.New("timeout")
	}
	return found, nil
}

// A relayMode is what a relay does with a mail.
type relayMode struct {
	status reset.DeliveryStatus
	held   bool // it arrives
	hangs  bool
	panics bool
}

var relays = map[string]relayMode{
	"takes mail":               {status: reset.Sent, held: true},
	"takes mail and is cut":    {status: reset.Unknown, held: true},
	"is cut":                   {status: reset.Unknown},
	"is away":                  {status: reset.NotSent},
	"refuses the recipient":    {status: reset.Rejected},
	"refuses our login":        {status: reset.Misconfigured},
	"hangs":                    {status: reset.Unknown, hangs: true},
	"takes mail and panics":    {held: true, panics: true},
	"panics":                   {panics: true},
	"takes mail after a while": {status: reset.Sent, held: true, hangs: true},
}

// Send implements reset.Mailer.
func (p *process) Send(ctx context.Context, msg reset.Message) reset.Delivery {
	var l reset.Letter
	if err := json.Unmarshal(msg.Data, &l); err != nil {
		panic(err)
	}
	if p.isDead() {
		return reset.Delivery{Status: reset.NotSent}
	}
	d := p.m.sends(l)
	if d.panics {
		panic("relay")
	}
	if d.hangs && d.status == reset.Sent {
		p.waits(ctx, 20*time.Second)
	} else if d.hangs {
		p.waits(ctx, time.Hour)
	}
	return reset.Delivery{Status: d.status, Err: errors.New("code")}
}

// An appMode is what the app does with a change that is new to it.
type appMode struct {
	verdict reset.Verdict
	takes   bool          // stores the password
	after   time.Duration // before it answers
	panics  bool
}

var apps = map[string]appMode{
	"takes":            {verdict: reset.Applied, takes: true},
	"takes slowly":     {verdict: reset.Applied, takes: true, after: 3 * time.Second},
	"takes and fails":  {takes: true},
	"takes and hangs":  {takes: true, after: time.Hour},
	"takes and panics": {takes: true, panics: true},
	"fails":            {},
	"fails slowly":     {after: 3 * time.Second},
	"hangs":            {after: time.Hour},
	"refuses":          {verdict: reset.Refused},
	"refuses slowly":   {verdict: reset.Refused, after: 4970 * time.Millisecond}, // as people give up waiting
	"gone":             {verdict: reset.Gone},
	"has a newer one":  {verdict: reset.Superseded},
}

// Apply implements reset.Target: an app that keeps the contract of receivers.
func (p *process) Apply(ctx context.Context, c reset.Change) reset.Attempt {
	if p.isDead() {
		return reset.Attempt{}
	}
	d, r := p.m.applies(c)
	alive := r.after == 0 || p.waits(ctx, r.after)
	if !alive {
		r.verdict = reset.Retry
	}
	p.m.answers(d, r.verdict, p.isDead())
	if r.panics {
		panic("app")
	}
	return reset.Attempt{Verdict: r.verdict, Err: errors.New("code")}
}

func (m *machine) look(login string) (mode string, found []reset.Account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dir, m.accounts[login]
}

func (m *machine) sends(l reset.Letter) relayMode {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := relays[m.relay]
	m.model.sends(l, d.held, time.Now())
	m.rt.Logf("%s: the relay %s: %s for %s", at(), m.relay, l.Kind, l.To.Login)
	return d
}

func (m *machine) applies(c reset.Change) (*delivery, appMode) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rt.Logf("%s: the app %s: %q for %s", at(), m.app, c.Password, c.Account.Login)
	d, r := m.model.begins(c, time.Now()), apps[m.app]
	switch final := r.verdict != reset.Retry; {
	case m.applied[c.ID] && final:
		r.verdict = reset.Applied
	case r.takes && c.Sequence < m.newest[c.Account.ID]:
		r.verdict = reset.Superseded
	case r.takes:
		m.applied[c.ID], m.newest[c.Account.ID], d.stored = true, c.Sequence, true
	}
	return d, r
}

func (m *machine) answers(d *delivery, v reset.Verdict, cut bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.model.answers(d, v, cut, time.Now())
	m.rt.Logf("%s: the app has answered %d (cut %v)", at(), v, cut)
}
