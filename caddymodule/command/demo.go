package command

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// example is the text of Caddyfile.example.
var example string

// UseExample hands over the Caddyfile that the demo runs. The root package of
// this module calls it while the program starts.
func UseExample(caddyfile string) { example = caddyfile }

// demoUser signs in to the inbox.
const demoUser = "reset@example.com"

// A demonstration is a sample app, an inbox and Caddy, all on this machine.
type demonstration struct {
	dir              string
	app              *demo.App
	inbox            *demo.Inbox
	site, mails, own string // addresses: Caddy, the inbox, the app by itself
	undo             []func() error
}

// runDemo shows the demonstration until ctx ends, or walks through it.
func runDemo(ctx context.Context, out io.Writer, drive bool) (err error) {
	d := new(demonstration)
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.start(ctx); err != nil {
		return fmt.Errorf("starting demo: %w", err)
	}
	if drive {
		return demo.Drive(ctx, demo.DriveOptions{BaseURL: d.site, Mailbox: d.inbox, Out: out})
	}
	fmt.Fprintf(out, `A sample app, its inbox and Caddy are running on this machine:

  site    %s    the app, as its visitors see it
  inbox   %s    the mails that it sends
  app     %s    the app without Caddy before it

The people are alice, bob and carol, and their password is
"%s". Try this:

  1. Go to %s and choose "Forgot your password?".
  2. Ask for alice, and look into the inbox.
  3. Open the link, or type the code, and choose a new password.
  4. Sign in with it.
  5. Open %s: the app's own page is taken over.

Ctrl-C ends the demo, and nothing is kept.
`, d.site, d.mails, d.own, demo.InitialPassword, d.site+demo.LoginPath, d.site+demo.ForgotPath)
	<-ctx.Done()
	return nil
}

// start starts everything, Caddy last.
func (d *demonstration) start(ctx context.Context) error {
	if example == "" {
		return errors.New("this Caddy was built without the example: build it with the module itself, not with its package command alone")
	}
	var err error
	if d.dir, err = os.MkdirTemp("", "password-reset-demo-"); err != nil {
		return err
	}
	d.later(func() error { return os.RemoveAll(d.dir) })

	secret, password := "whsec_"+random(), random()
	if d.app, err = demo.NewApp(demo.Options{Secret: secret}); err != nil {
		return err
	}
	if d.own, err = d.serve(ctx, d.app); err != nil {
		return err
	}
	certificate, file, err := d.certificate()
	if err != nil {
		return err
	}
	d.inbox, err = demo.NewInbox(demo.InboxOptions{
		TLS:      &tls.Config{Certificates: []tls.Certificate{certificate}},
		User:     demoUser,
		Password: password,
	})
	if err != nil {
		return err
	}
	d.later(d.inbox.Close)
	if d.mails, err = d.serve(ctx, d.inbox); err != nil {
		return err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	d.site = "http://" + address

	for name, value := range map[string]string{
		"RESET_SITE":           d.site,
		"RESET_BASE_URL":       d.site,
		"RESET_APP":            d.own[len("http://"):],
		"RESET_SMTP_USER":      demoUser,
		"RESET_SMTP_PASSWORD":  password,
		"RESET_WEBHOOK_SECRET": secret,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	config, err := d.config(file)
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	d.later(caddy.Stop)
	return nil
}

// config adapts the example and changes what has to differ here: nothing is
// kept outside of the temporary folder, no other Caddy is disturbed, and the
// mail server is the inbox, with a certificate of its own.
func (d *demonstration) config(trustedCA string) ([]byte, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(example), map[string]any{"filename": "Caddyfile.example"})
	if err != nil {
		return nil, err
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		return nil, err
	}
	var app caddymodule.App
	if err := json.Unmarshal(config.AppsRaw["password_reset"], &app); err != nil {
		return nil, err
	}
	store := &caddymodule.BboltStore{Path: filepath.Join(d.dir, "reset.db")}
	app.StoreRaw = caddyconfig.JSONModuleObject(store, "module", "bbolt", nil)
	app.SMTP.Address, app.SMTP.TLS, app.SMTP.TrustedCA = d.inbox.Addr(), "starttls", trustedCA
	config.AppsRaw["password_reset"] = caddyconfig.JSON(&app, nil)
	config.Admin = &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: new(bool)}}
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{Level: "ERROR"}},
	}}
	return json.Marshal(config)
}

// serve serves a handler and returns its address.
func (d *demonstration) serve(ctx context.Context, h http.Handler) (string, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	d.later(server.Close)
	return "http://" + l.Addr().String(), nil
}

// certificate makes one for the inbox and writes it into a file to trust.
func (d *demonstration) certificate() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(30 * 24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	file := filepath.Join(d.dir, "inbox.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file, os.WriteFile(file, text, 0o600)
}

// later notes what close has to do.
func (d *demonstration) later(undo func() error) { d.undo = append(d.undo, undo) }

// close undoes start, from its end.
func (d *demonstration) close() error {
	var errs []error
	for i := len(d.undo) - 1; i >= 0; i-- {
		errs = append(errs, d.undo[i]())
	}
	return errors.Join(errs...)
}

// freeAddress returns an address of this machine that nobody listens at.
func freeAddress(ctx context.Context) (string, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func random() string {
	secret := make([]byte, 32)
	rand.Read(secret)
	return base64.StdEncoding.EncodeToString(secret)
}
