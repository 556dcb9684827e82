// Command small is one site of password reset without Caddy: the same pages,
// store, mails and webhooks, in a process that is up within milliseconds, so
// that it can be killed thousands of times. Tests run it in the place of
// cmd/caddy. It reads what Caddyfile.example takes from the environment and
// nothing else; limits are off, and there is no grace for requests at its end.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/directory"
	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// stopping is how long jobs may take at the end.
const stopping = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(ctx, log); err != nil {
		log.Error("small ended", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, log *slog.Logger) (err error) {
	base, err := url.Parse(os.Getenv("RESET_BASE_URL"))
	if err != nil {
		return err
	}
	store, err := openStore(ctx, filepath.Join(os.Getenv("XDG_DATA_HOME"), "caddy", "password_reset"), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	c, handler, err := newSite(base, log)
	if err != nil {
		return err
	}
	service, err := reset.New(reset.Config{
		Store: store, Indexer: store, Era: store.Era(), Exclusive: true, Sites: []reset.SiteConfig{c}, Logger: log,
	})
	if err != nil {
		return err
	}
	handler.site = service.Site(c.ID)
	if err := service.Start(ctx); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", base.Host)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.Background(), stopping)
		defer cancel()
		err = server.Shutdown(end)
		service.Stop(end)
	}
	return err
}

// openStore opens the store in dir, and makes it and its key at the first
// start.
func openStore(ctx context.Context, dir string, log *slog.Logger) (*sealed.Store, error) {
	file, err := embeddedstore.Open(ctx, embeddedstore.Options{Path: filepath.Join(dir, "reset.db"), Logger: log})
	if err != nil {
		return nil, err
	}
	used, err := sealed.HasRecords(ctx, file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	path := filepath.Join(dir, "reset.key")
	key, err := sealed.LoadKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) && !used {
		key, err = sealed.CreateKeyFile(path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	store, err := sealed.Open(ctx, file, sealed.Options{Keys: [][]byte{key}, Marker: file, Logger: log})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return store, nil
}

// newSite plugs the adapters together as package caddymodule does.
func newSite(base *url.URL, log *slog.Logger) (reset.SiteConfig, *handler, error) {
	c := reset.SiteConfig{ID: base.Host}
	h := &handler{app: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: os.Getenv("RESET_APP")})}
	h.app.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	var err error
	h.pages, err = web.New(web.Options{
		BaseURL: base.String(), LoginURL: "/login", Name: "Example", TakeOver: []string{"/forgot-password*"}, Logger: log,
		Open: func(context.Context) (web.Site, func(), error) { return h.site, func() {}, nil },
	})
	if err != nil {
		return c, nil, err
	}
	c.Links = h.pages
	c.Composer, err = letters.New(letters.Options{From: "Example Support <support@example.com>", SiteName: "Example", Host: base.Hostname()})
	if err != nil {
		return c, nil, err
	}
	if c.Passwords, err = passwords.New(passwords.Options{Site: []string{"Example", base.Hostname()}}); err != nil {
		return c, nil, err
	}
	c.Mailer, err = smtpout.New(smtpout.Options{
		Address: os.Getenv("RESET_SMTP"), User: os.Getenv("RESET_SMTP_USER"),
		Secret: func() (string, error) { return os.Getenv("RESET_SMTP_PASSWORD"), nil }, Logger: log,
	})
	if err != nil {
		return c, nil, err
	}
	secret, err := webhookout.ParseSecret(os.Getenv("RESET_WEBHOOK_SECRET"))
	if err != nil {
		return c, nil, err
	}
	hook := func(path string) (*webhookout.Client, error) {
		return webhookout.New(webhookout.Options{
			URL: "http://" + os.Getenv("RESET_APP") + path, Secrets: []webhookout.Secret{secret}, Connections: reset.MaxAttempts, Logger: log,
		})
	}
	lookup, err := hook("/hooks/lookup")
	if err != nil {
		return c, nil, err
	}
	changed, err := hook("/hooks/password-changed")
	if err != nil {
		return c, nil, fmt.Errorf("target: %w", err)
	}
	c.Directory, c.Target = &directory.Webhook{Client: lookup, Site: c.ID}, &webhookout.Target{Client: changed}
	return c, h, nil
}

// A handler answers what is ours and passes on the rest to the app.
type handler struct {
	pages *web.Handler
	site  *reset.Site
	app   *httputil.ReverseProxy
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, ours := h.pages.Route(r)
	if !ours {
		h.app.ServeHTTP(w, r)
		return
	}
	h.pages.ServeHTTP(w, r, route, netip.Addr{})
}
