// Package caddymodule makes password reset a part of Caddy: the app
// password_reset, which owns the store, its key and the workers; the handler
// http.handlers.password_reset, one for each site; the guest modules behind
// `directory`, `target` and `store`; and the command `caddy password-reset`.
// It is the only package that knows Caddy, and it knows nothing but how to
// plug the others together.
//
// It promises:
//
//   - `caddy validate` reads the configuration and files that it names, and
//     opens, dials, writes and starts nothing; it passes beside a running
//     server.
//   - A reload loses no request, mail or change, and opens the store once. One
//     that is refused changes nothing.
//   - A store that cannot be opened refuses a reload. At the start of Caddy it
//     does not keep the other sites from being served: our routes answer 503,
//     the log says why, and the store is tried again until it opens.
//   - A request that is not ours is passed on untouched. One that is ours is
//     always answered here and never becomes an error for Caddy to log, since
//     its URL may hold a token.
//
// Secrets stand in unexported fields only: the configuration that the admin
// API shows holds the placeholders that the operator wrote.
package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/time/rate"

	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

const (
	// defaultMails is a pace that any mail server stands.
	defaultMails = "50/1s"

	// exitWait is how long running jobs may take when Caddy exits. Their
	// leases bring back what is cut off.
	exitWait = 10 * time.Second

	// alarmAgain is after what time an operator is told again of a store that
	// does not open for the same cause.
	alarmAgain = time.Hour
)

func init() {
	caddy.RegisterModule(new(App))
	caddy.RegisterModule(new(Handler))
	caddy.RegisterModule(new(WebhookDirectory))
	caddy.RegisterModule(new(FileDirectory))
	caddy.RegisterModule(new(WebhookTarget))
	caddy.RegisterModule(new(BboltStore))
}

// App keeps what all sites have in common: the store and its key, the default
// mail server, and the workers that mail and deliver. The sites are the
// handlers named `password_reset`.
type App struct {
	// StoreRaw is where everything is kept. Default: bbolt, a file under
	// Caddy's data directory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=password_reset.stores inline_key=module"`

	// Keys are master keys, base64 of 32 bytes, newest first. What is stored
	// is sealed under the newest; an older one may go after one start. Write
	// {env.NAME} or {file./path}. Default: a key file beside the store,
	// created with it.
	Keys []string `json:"keys,omitempty"`

	// Mails is how many mails may leave in all, such as 50/1s, or off for no
	// limit. Default: 50/1s.
	Mails string `json:"mails,omitempty"`

	// SMTP is the mail server of the sites that name none.
	SMTP *SMTP `json:"smtp,omitempty"`

	store  *storeConfig
	mailer *smtpout.Client // nil without SMTP
	mails  *rate.Limiter   // nil: no limit
	log    *slog.Logger

	mu       sync.Mutex
	sites    map[string]*site // by id
	service  *reset.Service   // on servedBy; made when first needed
	servedBy *pooledStore
	failed   error         // why the store did not open
	pause    time.Duration // how long it is left alone
	retry    time.Time     // until when

	meters    sync.Map // *meter of each site, by id
	inventory inventoryCache
	observer  observer

	stop    context.CancelFunc // ends the attempts to open the store
	ending  <-chan struct{}    // closed by stop
	later   func(error)        // begins such attempts, after one that failed
	opening sync.WaitGroup

	patience time.Duration // const restoreWait, but for tests
	horizon  horizon       // seenFromHere, but for tests

	life    sync.Mutex // held by what starts or ends the workers
	begun   bool
	ended   bool   // by Stop, for good
	release func() // the reference of the workers
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "password_reset", New: func() caddy.Module { return new(App) }}
}

// Provision implements [caddy.Provisioner].
func (a *App) Provision(ctx caddy.Context) (err error) {
	defer asError(ctx, &err)
	a.log = a.counting(ctx.Slogger())
	a.sites = make(map[string]*site)
	a.release, a.stop, a.patience = func() {}, func() {}, restoreWait
	a.horizon = seenFromHere
	if err := a.observe(ctx); err != nil {
		return err
	}

	opener, err := loadStore(ctx, a)
	if err != nil {
		return err
	}
	var keys [][]byte
	for i, k := range a.Keys {
		warnInClear(a.log, "key", k)
		key, err := expandSecret("key", k)
		if err != nil {
			return err
		}
		parsed, err := sealed.ParseKey(key)
		if err != nil {
			return fmt.Errorf("key number %d: %w", i+1, err)
		}
		keys = append(keys, parsed)
	}
	if _, local := opener.(LocalStore); !local && len(keys) == 0 {
		return errNoKey
	}
	a.store = newStoreConfig(opener, keys, a.log)
	if a.Mails == "" {
		a.Mails = defaultMails
	}
	pace, err := parsePace(a.Mails)
	if err != nil {
		return fmt.Errorf("mails: %w", err)
	}
	for _, w := range pace {
		a.mails = rate.NewLimiter(rate.Limit(float64(w.N)/w.Per.Seconds()), w.N)
	}
	if a.SMTP != nil {
		if a.mailer, err = a.SMTP.client(a.log); err != nil {
			return fmt.Errorf("smtp: %w", err)
		}
	}
	return nil
}

// Start opens the store and sets the workers going. See the package comment
// for a store that does not open.
func (a *App) Start() error {
	run, stop := context.WithCancel(context.Background())
	go a.observer.events.run(a.isLive)
	a.stop, a.ending = stop, run.Done()
	a.later = func(err error) {
		a.log.Error("store does not open: password reset answers 503, everything else is served", "error", err, "alarm", true)
		a.opening.Go(func() { a.beginLater(run, err) })
	}
	_, err := a.begin(run)
	if err == nil {
		return nil
	}
	if caddy.ActiveContext().Context != nil {
		stop()
		return err
	}
	a.later(err)
	return nil
}

// Stop ends the workers. It runs under Caddy's configuration lock, so on a
// reload it does not wait: what they have begun holds its own reference to the
// store.
func (a *App) Stop() error {
	a.stop()
	a.life.Lock() // a restore lets go of it soon after stop
	a.ended = true
	a.life.Unlock()
	a.opening.Wait()
	a.mu.Lock()
	service := a.service
	a.mu.Unlock()

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer a.survive("closing adapters")
		if service != nil {
			service.Stop(context.Background())
		}
		a.closeAdapters() // none of them is used by a job any more
	}()
	if caddy.Exiting() {
		select {
		case <-ended:
		case <-time.After(exitWait):
			a.log.Warn("jobs were cut off by the exit; they go on at the next start")
		}
	}
	a.release()
	return nil
}

// begin opens the store and starts the workers, or does nothing. It reports
// whether it was this call that did.
func (a *App) begin(ctx context.Context) (began bool, err error) {
	a.life.Lock()
	defer a.life.Unlock()
	return a.beginOnce(ctx)
}

// beginOnce is begin for who holds a.life.
func (a *App) beginOnce(ctx context.Context) (began bool, err error) {
	if a.begun || a.ended {
		return false, nil
	}
	store, release, err := a.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			release()
		}
	}()
	service, err := a.serviceOn(store)
	if err != nil {
		return false, err
	}
	if err := service.Start(ctx); err != nil {
		return false, err
	}
	a.begun, a.release = true, release
	return true, nil
}

// beginLater tries until the store opens.
func (a *App) beginLater(ctx context.Context, told error) {
	defer a.survive("opening store")
	r := reminder{told: told.Error(), at: time.Now()}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(a.waitToOpen()):
		}
		began, err := a.begin(ctx)
		if err == nil {
			if began {
				a.log.Info("store has opened: password reset is available")
			}
			return
		}
		if r.due(err, time.Now()) {
			a.log.Error("store still does not open", "error", err, "alarm", true)
		}
	}
}

// A reminder keeps operators from hearing the same at every attempt.
type reminder struct {
	told string
	at   time.Time
}

// due reports whether to tell of an error: it is another one, or was told long
// ago.
func (r *reminder) due(err error, now time.Time) bool {
	if err.Error() == r.told && now.Sub(r.at) < alarmAgain {
		return false
	}
	r.told, r.at = err.Error(), now
	return true
}

// closeAdapters closes the idle connections to mail servers and hooks.
func (a *App) closeAdapters() {
	if a.mailer != nil {
		a.mailer.Close()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.sites {
		s.close()
	}
}

func loadStore(ctx caddy.Context, a *App) (StoreOpener, error) {
	var module any
	var err error
	if a.StoreRaw == nil {
		module, err = ctx.LoadModuleByID(stores+".bbolt", nil)
	} else {
		module, err = ctx.LoadModule(a, "StoreRaw")
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	opener, ok := module.(StoreOpener)
	if !ok {
		return nil, fmt.Errorf("store: the module %s does not implement StoreOpener; name another one, or tell its author", module.(caddy.Module).CaddyModule().ID)
	}
	return opener, nil
}

// Interface guards
var (
	_ caddy.App         = (*App)(nil)
	_ caddy.Provisioner = (*App)(nil)
)
