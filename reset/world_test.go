package reset_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A world is one site with a directory, a relay and an app that do as they
// are told, on a store of the test's choice, in fake time.
type world struct {
	t      *testing.T
	store  kv.Store
	era    uint64
	sole   bool
	tuning func(*reset.SiteConfig)

	dir   *directory
	relay *relay
	app   *app
	log   *bytes.Buffer
	logMu sync.Mutex

	services []*reset.Service
	site     *reset.Site
}

// onEachStore runs a test on an honest store and on hostile ones.
func onEachStore(t *testing.T, test func(t *testing.T, w *world)) { onStores(t, true, test) }

// onSharedStores is onEachStore for tests that start several services, as
// several processes on a clustered store would.
func onSharedStores(t *testing.T, test func(t *testing.T, w *world)) { onStores(t, false, test) }

func onStores(t *testing.T, sole bool, test func(t *testing.T, w *world)) {
	run := func(name string, store func() kv.Store) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, store())
				w.sole = sole
				w.start()
				test(t, w)
			})
		})
	}
	run("honest store", func() kv.Store { return kvtest.Memory() })
	seeds := uint64(8)
	if !sole {
		seeds = 3 // several services read their queues every second
	}
	for seed := range seeds {
		run(fmt.Sprintf("hostile store %d", seed), func() kv.Store { return kvtest.Hostile(kvtest.Memory(), seed) })
	}
}

// inWorld runs a test on an honest store. set, if any, tunes the site.
func inWorld(t *testing.T, set func(*reset.SiteConfig), test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kvtest.Memory())
		w.tuning, w.sole = set, true
		w.start()
		test(t, w)
	})
}

func newWorld(t *testing.T, store kv.Store) *world {
	w := &world{t: t, store: store, log: new(bytes.Buffer)}
	w.dir = &directory{accounts: map[string][]reset.Account{
		"alice":             {alice},
		"alice@example.com": {alice},
		"bob":               {bob},
		"family@example.com": {
			{ID: "71", Login: "mum", Email: "family@example.com"},
			{ID: "72", Login: "dad", Email: "family@example.com"},
		},
		"carol": {{ID: "44", Login: "carol"}}, // has no address
	}}
	w.relay = &relay{}
	w.app = &app{passwords: map[string]string{}, sequences: map[string]int64{}, applied: map[string]int{}, flying: map[string]int{}}
	t.Cleanup(w.stop)
	return w
}

var (
	alice = reset.Account{ID: "42", Login: "alice", Email: "alice@example.com", Name: "Alice"}
	bob   = reset.Account{ID: "43", Login: "bob", Email: "bob@example.com"}
)

// start adds a service, as a process on the same store would.
func (w *world) start() *reset.Service { return w.startWith(nil) }

func (w *world) startWith(set func(*reset.Config)) *reset.Service {
	w.t.Helper()
	sc := reset.SiteConfig{
		ID: "app.example.com", Directory: w.dir, Target: w.app, Composer: composer{}, Mailer: w.relay,
		Passwords: policy{}, Links: links{}, PerAccount: reset.DefaultPerAccount(),
	}
	if w.tuning != nil {
		w.tuning(&sc)
	}
	c := reset.Config{
		Store: w.store, Indexer: kvtest.Indexer{}, Era: w.era, Exclusive: w.sole, Sites: []reset.SiteConfig{sc},
		Logger: slog.New(slog.NewJSONHandler(writer{w}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if set != nil {
		set(&c)
	}
	svc, err := reset.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.retry("starting", func() error { return svc.Start(context.Background()) })
	w.services = append(w.services, svc)
	w.site = svc.Site("app.example.com")
	return svc
}

// stop ends all services and waits for what they have begun.
func (w *world) stop() {
	for _, s := range w.services {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		s.Stop(ctx)
		cancel()
	}
	w.services = nil
}

// retry does as a person would: the store may answer "unknown" to anything.
func (w *world) retry(doing string, do func() error) {
	w.t.Helper()
	var err error
	for range 50 {
		if err = do(); err == nil || !errors.Is(err, reset.ErrUnavailable) && !errors.Is(err, kv.ErrUnknown) {
			break
		}
		time.Sleep(time.Second)
	}
	if err != nil {
		w.t.Fatalf("%s: %v", doing, err)
	}
}

// ask requests a reset until it is accepted.
func (w *world) ask(login string) string {
	w.t.Helper()
	return w.request(reset.Request{Login: login})
}

// request is ask with all that a request may carry.
func (w *world) request(r reset.Request) string {
	w.t.Helper()
	var ref string
	w.retry("asking for "+r.Login, func() (err error) {
		ref, err = w.site.Request(context.Background(), r)
		return err
	})
	return ref
}

// letter asks for a reset and returns the letter that arrives. Like a person
// it asks again when none does: an earlier request that was answered with an
// error may have been stored and have used up the minute's limit.
func (w *world) letter(login string) reset.Letter {
	w.t.Helper()
	n := w.relay.count(reset.LetterReset)
	for range 10 {
		w.ask(login)
		for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			synctest.Wait()
			if w.relay.count(reset.LetterReset) > n {
				return w.relay.last(reset.LetterReset)
			}
		}
	}
	w.t.Fatalf("no letter for %s; log:\n%s", login, w.logText())
	panic("unreachable")
}

// until waits in fake time for something to become true.
func (w *world) until(most time.Duration, what string, done func() bool) {
	w.t.Helper()
	step := min(max(most/500, 200*time.Millisecond), 10*time.Second)
	for end := time.Now().Add(most); ; time.Sleep(step) {
		synctest.Wait()
		if done() {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("waited %s in vain for %s; log:\n%s", most, what, w.logText())
		}
	}
}

// change submits a password with a token until the store takes it.
func (w *world) change(token, password string) (reset.Result, error) {
	w.t.Helper()
	var r reset.Result
	var err error
	for range 50 {
		r, err = w.site.Change(context.Background(), reset.NewPassword{Token: token, Password: password})
		if !errors.Is(err, reset.ErrUnavailable) {
			break
		}
		time.Sleep(time.Second)
	}
	return r, err
}

func (w *world) wantChange(token, password string, want reset.Status) {
	w.t.Helper()
	r, err := w.change(token, password)
	if err != nil || r.Status != want {
		w.t.Fatalf("change is %q, %v; want %q", r.Status, err, want)
	}
}

func (w *world) wantDead(token string) {
	w.t.Helper()
	if _, err := w.change(token, "a long enough password"); !errors.Is(err, reset.ErrGrant) {
		w.t.Fatalf("change with a dead token: %v; want ErrGrant", err)
	}
}

func (w *world) logText() string {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return w.log.String()
}

type writer struct{ w *world }

func (w writer) Write(b []byte) (int, error) {
	w.w.logMu.Lock()
	defer w.w.logMu.Unlock()
	return w.w.log.Write(b)
}

// token takes the token out of a link as links below makes it.
func token(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

type links struct{}

func (links) Link(dialect, t string) string {
	if dialect != "" {
		return "https://app.example.com/" + dialect + "/" + t
	}
	return "https://app.example.com/password-reset/link/" + t
}

func (links) CancelLink(t string) string { return "https://app.example.com/password-reset/cancel/" + t }
func (links) AskLink() string            { return "https://app.example.com/password-reset" }

type policy struct{}

func (policy) Check(p string, about []string) []passwords.Reason {
	if len(p) < 15 {
		return []passwords.Reason{{Code: passwords.TooShort, Limit: 15}}
	}
	for _, a := range about {
		if p == a {
			return []passwords.Reason{{Code: passwords.Expected}}
		}
	}
	return nil
}

func (policy) Rules() passwords.Rules { return passwords.Rules{MinLength: 15, MaxLength: 128} }

type directory struct {
	mu       sync.Mutex
	accounts map[string][]reset.Account
	err      error
	lookups  int
}

func (d *directory) Lookup(_ context.Context, login string) ([]reset.Account, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lookups++
	return d.accounts[login], d.err
}

func (d *directory) asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lookups
}

func (d *directory) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *directory) put(login string, accounts ...reset.Account) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accounts[login] = accounts
}

// composer writes the letter itself as the mail, so that the relay can read it.
type composer struct{}

func (composer) Compose(l reset.Letter) (reset.Message, error) {
	b, err := json.Marshal(l)
	return reset.Message{From: "support@example.com", To: l.To.Email, Data: b}, err
}

type relay struct {
	mu      sync.Mutex
	letters []reset.Letter
	answer  func(reset.Letter) reset.Delivery // nil: takes everything
}

func (r *relay) Send(_ context.Context, m reset.Message) reset.Delivery {
	var l reset.Letter
	if err := json.Unmarshal(m.Data, &l); err != nil {
		panic(err)
	}
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	d := reset.Delivery{Status: reset.Sent}
	if answer != nil {
		d = answer(l)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.Status == reset.Sent || d.Status == reset.Unknown {
		r.letters = append(r.letters, l)
	}
	return d
}

func (r *relay) say(answer func(reset.Letter) reset.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *relay) all(k reset.LetterKind) (of []reset.Letter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.letters {
		if l.Kind == k {
			of = append(of, l)
		}
	}
	return of
}

func (r *relay) count(k reset.LetterKind) int { return len(r.all(k)) }

func (r *relay) last(k reset.LetterKind) reset.Letter {
	all := r.all(k)
	return all[len(all)-1]
}

// app is a receiver that keeps the contract: it applies each change once and
// no older one after a newer.
type app struct {
	mu        sync.Mutex
	answer    func(reset.Change) *reset.Attempt // nil or returning nil: apply
	slow      time.Duration
	passwords map[string]string
	sequences map[string]int64
	applied   map[string]int // change id → times applied
	ids       []string       // of all attempts
	flying    map[string]int
	crowd     int // most attempts in flight for one account
}

func (a *app) Apply(ctx context.Context, c reset.Change) reset.Attempt {
	a.mu.Lock()
	a.ids = append(a.ids, c.ID)
	a.flying[c.Account.ID]++
	a.crowd = max(a.crowd, a.flying[c.Account.ID])
	slow, answer := a.slow, a.answer
	a.mu.Unlock()
	var said *reset.Attempt
	if answer != nil {
		said = answer(c)
	}
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flying[c.Account.ID]--
	if ctx.Err() != nil {
		return reset.Attempt{Verdict: reset.Retry, Err: ctx.Err()}
	}
	if said != nil {
		return *said
	}
	if a.applied[c.ID] > 0 {
		return reset.Attempt{Verdict: reset.Applied}
	}
	if c.Sequence < a.sequences[c.Account.ID] {
		return reset.Attempt{Verdict: reset.Superseded}
	}
	a.sequences[c.Account.ID], a.passwords[c.Account.ID] = c.Sequence, c.Password
	a.applied[c.ID]++
	return reset.Attempt{Verdict: reset.Applied}
}

func (a *app) say(answer func(reset.Change) *reset.Attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

func (a *app) down() {
	a.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: reset.Retry, Err: errors.New("503")} })
}

func (a *app) password(account string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.passwords[account]
}

func (a *app) changes() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.applied)
}

// delay makes the app take its time from now on.
func (a *app) delay(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slow = d
}

// mostAtOnce returns how many attempts for one account were in flight at most.
func (a *app) mostAtOnce() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.crowd
}

func (a *app) attempts() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ids)
}

func (a *app) distinctIDs() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := map[string]bool{}
	for _, i := range a.ids {
		ids[i] = true
	}
	return len(ids)
}
