package caddymodule_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// ours begins the names of our metrics.
const ours = "caddy_password_reset_"

// A watched world has an admin API, a relay with TLS, and two sites: one that
// works, and one whose app knows another secret.
type watched struct {
	*world
	site, broken string // their ids, which no other test has: counters outlive a configuration
	relay        string // lines of the Caddyfile
	certificate  *x509.Certificate
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{world: newWorld(t), site: "site-" + rand.Text(), broken: "broken-" + rand.Text()}
	w.inbox.Close()
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	certified.Close()
	w.certificate = certified.Certificate()
	var err error
	w.inbox, err = demo.NewInbox(demo.InboxOptions{TLS: &tls.Config{Certificates: certified.TLS.Certificates}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.inbox.Close() })
	ca := w.file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.certificate.Raw})))
	w.relay = fmt.Sprintf("smtp %s {\n tls starttls\n trusted_ca %s\n}", w.inbox.Addr(), ca)
	if w.app, err = demo.NewApp(demo.Options{Secret: secret, BcryptCost: bcrypt.MinCost, Accounts: []demo.Account{
		{ID: "1", Login: "alice", Email: "alice@example.com"},
		{ID: "2", Login: "bob", Email: "bob@example.com"},
		{ID: "3", Login: "carol", Email: "carol@example.com"},
		{ID: "4", Login: "dave", Email: "dave@elsewhere.example"}, // the relay refuses him
	}}); err != nil {
		t.Fatal(err)
	}
	w.hooks.Config.Handler = w.app
	t.Setenv("OTHER_SECRET", "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=")
	t.Cleanup(func() {
		// What a test has the admin API listen on must not outlive its folder.
		if err := load("{\n admin off\n persist_config off\n}\n"); err != nil {
			t.Error(err)
		}
	})
	return w
}

// caddyfile is that of the world with an admin API. The broken site is one with
// the same hooks.
func (w *watched) caddyfile(c config) string {
	c.options += "\nid " + w.site + "\nlimits {\n per_ip 2/1h\n}"
	c.top += "\nservers {\n trusted_proxies_unix\n trusted_proxies static private_ranges\n trusted_proxies_strict\n}"
	c.more += fmt.Sprintf(`http://broken.example.com {
	bind unix/%s
	password_reset {
		id %s
		base_url https://broken.example.com
		from support@example.com
		directory webhook %[3]s/hooks/lookup
		target webhook %[3]s/hooks/password-changed
		webhook_secret {env.OTHER_SECRET}
	}
}`, w.path("w.sock"), w.broken, w.hooks.URL)
	text := w.world.caddyfile(c)
	text = strings.Replace(text, "admin off", "admin unix/"+w.path("a.sock"), 1)
	return strings.Replace(text, "smtp "+w.inbox.Addr(), w.relay, 1)
}

func (w *watched) mustLoad(c config) {
	w.t.Helper()
	if err := load(w.caddyfile(c)); err != nil {
		w.t.Fatal(err)
	}
}

// scrape returns the answer of /metrics in the admin API, with queues as they
// are now.
func (w *watched) scrape() string {
	w.t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("password_reset")
	if err != nil {
		w.t.Fatal(err)
	}
	app.(*caddymodule.App).Forget()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", w.path("a.sock"))
		},
	}}
	resp, err := client.Get("http://127.0.0.1/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("/metrics answers %d: %s %v", resp.StatusCode, text, err)
	}
	return string(text)
}

// series reads our series from a scrape, by their names with labels, without the
// beginning that all have.
func series(t testing.TB, scrape string) map[string]float64 {
	t.Helper()
	all := make(map[string]float64)
	lines := bufio.NewScanner(strings.NewReader(scrape))
	for lines.Scan() {
		name, ours := strings.CutPrefix(lines.Text(), ours)
		if !ours {
			continue
		}
		i := strings.LastIndexByte(name, ' ')
		value, err := strconv.ParseFloat(name[i+1:], 64)
		if err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		all[name[:i]] = value
	}
	return all
}

// journey is what people do on a site, with a bit of everything. It returns when
// nothing of it is under way any more.
func (w *watched) journey() {
	w.t.Helper()
	const base = "https://app.example.com/password-reset"
	must := func(link string, err error) string {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
		return strings.TrimPrefix(link, "https://app.example.com")
	}
	token := func(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

	// Changed by link, and asked for too often.
	w.ask("alice")
	link := must(w.mail("alice@example.com", 1).Link(base))
	w.ask("alice")
	w.expect(200, "<form", "GET", link, "")
	w.expect(200, "<form", "GET", link, "")
	w.expect(200, "changed", "POST", "/password-reset/new", `{"token":"`+token(link)+`","password":"a calm sea at night"}`)
	w.mail("alice@example.com", 2)

	// "This wasn't me".
	w.ask("bob")
	w.expect(200, "cancelled", "POST", must(w.mail("bob@example.com", 1).CancelLink(base)), "{}")

	// A code, and a password that the app does not want.
	w.ask("carol")
	code := must(w.mail("carol@example.com", 1).Code())
	w.expect(422, "", "POST", "/password-reset/code", `{"login":"carol","code":"0000 0000"}`)
	w.expect(422, "legacy", "POST", "/password-reset/new", `{"login":"carol","code":"`+code+`","password":"a legacy of the sea"}`)

	// No mail: unknown, refused by the relay, too many from one address.
	w.ask("nobody")
	w.ask("dave")
	for _, status := range []int{202, 202, 429} {
		w.expect(status, "", "POST", "/password-reset", fmt.Sprintf(`{"login":%q}`, rand.Text()), "X-Forwarded-For", "192.0.2.1")
	}
	// An app that knows another secret.
	w.expect(202, "", "POST", "/password-reset", `{"login":"alice"}`, "Host", "broken.example.com")

	until(w.t, "all is done", func() bool {
		s := series(w.t, w.scrape())
		at := func(name string) float64 { return s[fmt.Sprintf(name, w.site)] }
		return at("lookups_total{outcome=\"unknown\",site=%q}") == 3 && at("requests_lost_total{outcome=\"rejected\",site=%q}") == 1 &&
			at("limits_hit_total{limit=\"login\",site=%q}") == 1 && at(`mails_total{kind="notice",outcome="sent",site=%q}`) == 1 &&
			at(`queue_jobs{kind="mail",site=%q}`)+at(`queue_jobs{kind="notice",site=%q}`) == 0 &&
			s[fmt.Sprintf("alarms_total{site=%q}", w.broken)] == 1
	})
}
