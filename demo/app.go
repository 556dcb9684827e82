// Package demo holds what it takes to see password resets at work on one
// machine: [App], a small legacy app with the two hooks that a real one would
// have, [Inbox], which catches its mail, and [Drive], which walks the whole
// way as a person with a browser without scripts does.
//
// The app checks everything that a receiver must check, so that it can be read
// as an example and used as a peer in tests. It is no app to run in public:
// its accounts and its first password are known to everybody, and all that it
// knows is gone when it stops.
package demo

import (
	"bytes"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// InitialPassword is the password of every account at the start.
const InitialPassword = "correct horse battery staple"

// The paths of the app.
const (
	LoginPath    = "/login"
	ForgotPath   = "/forgot-password"        // the app's own, old reset page: list it in take_over
	LookupPath   = "/hooks/lookup"           // account.lookup
	ChangedPath  = "/hooks/password-changed" // password.changed
	ResetPath    = "/password-reset"         // not the app's: where its login page leads
	logoutPath   = "/logout"
	stylePath    = "/style.css"
	sessionName  = "example_session"
	maxForm      = 16 << 10
	maxSessions  = 1000
	maxDelivered = 1000
)

//go:embed pages
var files embed.FS

var pages = template.Must(template.ParseFS(files, "pages/*.html"))

// Options of an [App].
type Options struct {
	// Secret signs the hooks: whsec_ and base64 of 24 to 64 bytes.
	Secret string
	// Accounts are the people of the app; by default alice, bob and carol,
	// with addresses at example.com.
	Accounts []Account
	// BcryptCost is that of the hashes the app makes; by default 10. Tests set
	// it to [bcrypt.MinCost].
	BcryptCost int
	// Logger gets a line for each hook, without passwords and addresses; by
	// default nothing is logged.
	Logger *slog.Logger
}

// An App is a sample legacy app: a home page, a login form, an old reset page
// of its own and the two hooks. It is an [http.Handler] and may be used from
// several goroutines at once.
type App struct {
	mux     *http.ServeMux
	secrets []webhookout.Secret
	cost    int
	logger  *slog.Logger
	down    atomic.Bool
	old     atomic.Int64

	mu         sync.Mutex
	people     []*person
	sessions   map[string]*person
	deliveries []Delivery
}

// NewApp returns an app in which everybody has [InitialPassword].
func NewApp(o Options) (*App, error) {
	secret, err := webhookout.ParseSecret(o.Secret)
	if err != nil {
		return nil, err
	}
	if o.BcryptCost == 0 {
		o.BcryptCost = bcrypt.DefaultCost
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(InitialPassword), o.BcryptCost)
	if err != nil {
		return nil, fmt.Errorf("hashing initial password: %w", err)
	}
	if o.Accounts == nil {
		o.Accounts = samples
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &App{
		secrets:  []webhookout.Secret{secret},
		cost:     o.BcryptCost,
		logger:   o.Logger,
		sessions: make(map[string]*person),
	}
	for _, account := range o.Accounts {
		a.people = append(a.people, &person{Account: account, hash: string(hash), applied: make(map[string]bool)})
	}

	form := http.NewCrossOriginProtection()
	a.mux = http.NewServeMux()
	a.mux.HandleFunc("GET /{$}", a.home)
	a.mux.HandleFunc("GET "+LoginPath, a.showLogin)
	a.mux.Handle("POST "+LoginPath, form.Handler(http.HandlerFunc(a.login)))
	a.mux.Handle("POST "+logoutPath, form.Handler(http.HandlerFunc(a.logout)))
	a.mux.HandleFunc(ForgotPath, a.forgot)
	a.mux.HandleFunc("POST "+LookupPath, a.signed(a.lookup))
	a.mux.HandleFunc("POST "+ChangedPath, a.signed(a.changed))
	a.mux.HandleFunc("GET "+stylePath, func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "pages/style.css")
	})
	return a, nil
}

// ServeHTTP serves the app.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.down.Load() {
		http.Error(w, "The sample app is switched off.", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	a.mux.ServeHTTP(w, r)
}

// SetDown makes the app answer 503 to everything, its hooks included, until it
// is called with false.
func (a *App) SetDown(down bool) { a.down.Store(down) }

// OldResets returns how many requests have reached the old reset page.
func (a *App) OldResets() int { return int(a.old.Load()) }

// view is what a page shows.
type view struct {
	Title   string
	Account *Account // who is logged in
	Login   string   // what was typed
	Error   string
}

func (a *App) home(w http.ResponseWriter, r *http.Request) {
	showPage(w, http.StatusOK, "home.html", view{Title: "Welcome", Account: a.whoIs(r)})
}

func (a *App) showLogin(w http.ResponseWriter, _ *http.Request) {
	showPage(w, http.StatusOK, "login.html", view{Title: "Log in"})
}

func (a *App) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "Bad form.", http.StatusBadRequest)
		return
	}
	login := r.PostForm.Get("login")
	token, err := a.open(login, r.PostForm.Get("password"))
	if err != nil {
		showPage(w, http.StatusUnauthorized, "login.html", view{Title: "Log in", Login: login, Error: "This name and this password do not go together."})
		return
	}
	http.SetCookie(w, &http.Cookie{Name: sessionName, Value: token, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// open starts a session.
func (a *App) open(login, password string) (token string, err error) {
	p, hash := a.find(login)
	// The lock is not held while a hash is computed.
	if p == nil || !verify(hash, password) {
		return "", errors.New("wrong login or password")
	}
	token = rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.hash != hash || len(a.sessions) >= maxSessions {
		return "", errors.New("changed meanwhile")
	}
	a.sessions[token] = p
	return token, nil
}

func (a *App) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(sessionName); err == nil {
		a.mu.Lock()
		delete(a.sessions, c.Value)
		a.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: sessionName, Path: "/", MaxAge: -1})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// forgot is what the app had before: the page that take_over keeps everybody
// away from.
func (a *App) forgot(w http.ResponseWriter, _ *http.Request) {
	a.old.Add(1)
	showPage(w, http.StatusOK, "forgot.html", view{Title: "Old reset page"})
}

func (a *App) whoIs(r *http.Request) *Account {
	c, err := r.Cookie(sessionName)
	if err != nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.sessions[c.Value]
	if p == nil {
		return nil
	}
	account := p.Account
	return &account
}

// showPage writes a page, all of it or none.
func showPage(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		panic("demo: " + err.Error()) // the pages are part of the program
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // fails only when the reader is gone
}

var _ http.Handler = (*App)(nil)
