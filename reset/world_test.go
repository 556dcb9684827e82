package reset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
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
