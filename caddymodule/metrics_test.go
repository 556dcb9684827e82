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
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/go-cmp/cmp"
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

// TestMetricsAfterJourney holds each value that an operator sees, those of a
// reload too: it sets no counter back, and takes along the sites that it removes.
func TestMetricsAfterJourney(t *testing.T) {
	w := newWatched(t)
	w.mustLoad(config{})
	begun := series(t, w.scrape())
	for name, value := range begun {
		if strings.Contains(name, w.site) && value != 0 {
			t.Errorf("%s is %g before anything happened", name, value)
		}
	}
	w.journey()
	got := series(t, w.scrape())

	want := make(map[string]float64)
	set := func(site, name, labels string, value float64) {
		if labels != "" {
			labels += ","
		}
		want[fmt.Sprintf("%s{%ssite=%q}", name, labels, site)] = value
	}
	for name, value := range map[string]float64{
		"requests_total": 8, "grants_total": 4, "grants_opened_total": 2, "grants_cancelled_total": 1, "changes_accepted_total": 2,
	} {
		set(w.site, name, "", value)
	}
	set(w.site, "lookups_total", `outcome="found"`, 4)
	set(w.site, "lookups_total", `outcome="unknown"`, 3)
	set(w.site, "mails_total", `kind="mail",outcome="sent"`, 3)
	set(w.site, "mails_total", `kind="mail",outcome="rejected"`, 1)
	set(w.site, "mails_total", `kind="notice",outcome="sent"`, 1)
	set(w.site, "requests_lost_total", `outcome="rejected"`, 1)
	set(w.site, "changes_total", `outcome="changed"`, 1)
	set(w.site, "changes_total", `outcome="refused"`, 1)
	set(w.site, "deliveries_total", `outcome="applied"`, 1)
	set(w.site, "deliveries_total", `outcome="refused"`, 1)
	set(w.site, "limits_hit_total", `limit="ask"`, 1)
	set(w.site, "limits_hit_total", `limit="login"`, 1)
	for call, n := range map[string]float64{"lookup": 7, "letter": 4, "notice": 1, "change": 2} {
		set(w.site, "call_duration_seconds_count", fmt.Sprintf("call=%q", call), n)
		// No call takes a minute, and each has taken some time.
		want[fmt.Sprintf(`call_duration_seconds_bucket{call=%q,site=%q,le="+Inf"}`, call, w.site)] = n
		if sum := got[fmt.Sprintf("call_duration_seconds_sum{call=%q,site=%q}", call, w.site)]; sum <= 0 || sum > 60 {
			t.Errorf("%g calls %s took %g s", n, call, sum)
		}
	}
	set(w.broken, "requests_total", "", 1)
	set(w.broken, "lookups_total", `outcome="failed"`, 1)
	set(w.broken, "alarms_total", "", 1)
	set(w.broken, "queue_jobs", `kind="mail"`, 1)
	set(w.broken, "call_duration_seconds_count", `call="lookup"`, 1)
	want["store_open"] = 1
	for name, value := range got {
		switch {
		case want[name] != 0 || value == 0:
		case strings.HasPrefix(name, "call_duration_seconds_"), strings.HasPrefix(name, "relay_certificate_expiry_timestamp_seconds{"):
		case strings.HasPrefix(name, "store_"), strings.HasPrefix(name, `alarms_total{site=""}`), name == "events_dropped_total":
			// Of the whole process.
		case name == fmt.Sprintf(`queue_oldest_seconds{kind="mail",site=%q}`, w.broken):
			if value > 600 {
				t.Errorf("%s is %g", name, value)
			}
		case strings.Contains(name, w.site), strings.Contains(name, w.broken):
			t.Errorf("%s is %g, want 0", name, value)
		default:
			t.Errorf("%s: a series of no site of ours", name)
		}
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %g, want %g", name, got[name], value)
		}
	}
	expiry := got[fmt.Sprintf("relay_certificate_expiry_timestamp_seconds{site=%q}", w.site)]
	if expiry != float64(w.certificate.NotAfter.Unix()) {
		t.Errorf("the certificate of the relay ends at %g, want %s", expiry, w.certificate.NotAfter)
	}
	info, err := os.Stat(w.path("reset.db"))
	if err != nil {
		t.Fatal(err)
	}
	if got["store_size_bytes"] != float64(info.Size()) {
		t.Errorf("store_size_bytes is %g, and the file has %d", got["store_size_bytes"], info.Size())
	}
	if n := got["store_commit_duration_seconds_count"] - begun["store_commit_duration_seconds_count"]; n < 20 {
		t.Errorf("%g commits were counted", n)
	}

	t.Run("reload", func(t *testing.T) {
		w.mustLoad(config{options: `name "Another name"`})
		again := series(t, w.scrape())
		counters := func(s map[string]float64) map[string]float64 {
			s = maps.Clone(s)
			maps.DeleteFunc(s, func(name string, _ float64) bool {
				return strings.HasPrefix(name, "store_") || strings.HasPrefix(name, "queue_oldest") || strings.HasPrefix(name, "events_") ||
					strings.HasPrefix(name, "relay_") || strings.Contains(name, w.broken)
			})
			return s
		}
		if diff := cmp.Diff(counters(got), counters(again)); diff != "" {
			t.Errorf("a reload changed (-before +after):\n%s", diff)
		}
	})
	t.Run("refused reload", func(t *testing.T) {
		refused := strings.Replace(w.caddyfile(config{}), "id "+w.broken, "id other-"+w.broken, 1)
		refused = strings.Replace(refused, "directory webhook", "directory file /nowhere/at/all #", 1)
		if err := load(refused); err == nil {
			t.Fatal("a configuration that is wrong was loaded")
		}
		if s := w.scrape(); strings.Contains(s, "other-") || !strings.Contains(s, w.site) {
			t.Error("a configuration that was refused shows in the metrics")
		}
	})
	t.Run("removed site", func(t *testing.T) {
		text := w.caddyfile(config{})
		if err := load(text[:strings.Index(text, "http://broken.example.com")]); err != nil {
			t.Fatal(err)
		}
		s := w.scrape()
		if strings.Contains(s, w.broken) {
			t.Error("a site that was removed shows in the metrics")
		}
		if !strings.Contains(s, w.site) {
			t.Error("the other one is gone, too")
		}
	})
}

// TestMetricsWithoutStore holds what is shown while the store does not open:
// that, and the counters.
func TestMetricsWithoutStore(t *testing.T) {
	w := newWatched(t)
	w.file("reset.db", "no store")
	w.mustLoad(config{})
	w.expect(503, "", "GET", "/password-reset", "")
	s := series(t, w.scrape())
	if open, ok := s["store_open"]; !ok || open != 0 {
		t.Errorf("store_open is %g (%v)", open, ok)
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if strings.HasPrefix(name, "queue_") || strings.HasPrefix(name, "store_size") {
			t.Errorf("%s of a store that is not open", name)
		}
	}
	if s[`alarms_total{site=""}`] == 0 {
		t.Error("the alarm is not counted")
	}
	if _, ok := s[fmt.Sprintf("requests_total{site=%q}", w.site)]; !ok {
		t.Error("the counters are gone")
	}
}
