package caddymodule_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A way is all that a check walks, and right in each part until a test makes one
// wrong. A copy of it is a way of its own on the same peers.
type way struct {
	*world
	ca      *authority
	horizon caddymodule.Horizon

	top, global, key       string // lines of the global options, and of our block there
	smtp, smtpBlock        string // address, and lines of its block
	site, base             string // what Caddy serves, and what it is told that is called
	before, options, more  string // lines of the site, of our block there, and more sites
	from, lookup, changed  string
	to, selector           string // what the check is asked for
	store                  string
	inUse                  string // what another Caddy says it has open
	running, showsOnlyPart bool
	loaded                 bool // by the test
}

// smtpSecret is the password that the relay wants.
const smtpSecret = "hunter2-of-mail"

func newWay(t *testing.T) *way {
	t.Helper()
	w := &way{world: newWorld(t), ca: newAuthority(t), running: true}
	w.overTCP()
	w.site = "http://127.0.0.1:" + w.port
	w.base, w.store = w.site, w.path("reset.db")
	t.Setenv("RESET_SMTP_PASSWORD", smtpSecret)
	app, err := demo.NewApp(demo.Options{Secret: secret, BcryptCost: bcrypt.MinCost})
	if err != nil {
		t.Fatal(err)
	}
	w.app, w.hooks.Config.Handler = app, app
	w.lookup, w.changed = "webhook "+w.hooks.URL+"/hooks/lookup", "webhook "+w.hooks.URL+"/hooks/password-changed"
	w.from = "support@corner.internal"
	w.relays(&relay{tls: w.ca.issue(t, nil)})
	w.smtpBlock = "tls starttls\n trusted_ca " + w.ca.file + "\n auth reset {env.RESET_SMTP_PASSWORD}"
	w.horizon = caddymodule.Horizon{DNS: goodZone().resolver(t), Roots: w.ca.pool()}
	return w
}

// relays puts a relay of that kind in the place of the one that is right.
func (w *way) relays(r *relay) *relay {
	w.t.Helper()
	w.smtp = r.serve(w.t)
	return r
}

// hook starts an app of another kind and returns its address.
func (w *way) hook(answer http.HandlerFunc) string {
	w.t.Helper()
	s := httptest.NewServer(answer)
	w.t.Cleanup(s.Close)
	return s.URL
}

// closed returns an address at which nobody listens.
func closed(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (w *way) caddyfile() string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	debug
	auto_https disable_redirects
	storage file_system %[1]s
	log {
		output file %[1]s/log
		format json
	}
	%[2]s
	password_reset {
		store bbolt %[3]s
		%[4]s
		smtp %[5]s {
			%[6]s
		}
		%[7]s
	}
}
%[8]s {
	bind 127.0.0.1
	%[9]s
	password_reset {
		base_url %[10]s
		from %[11]s
		directory %[12]s
		target %[13]s
		webhook_secret {env.RESET_WEBHOOK_SECRET}
		%[14]s
	}
	respond "another page"
}
%[15]s
`, w.dir, w.top, w.store, w.key, w.smtp, w.smtpBlock, w.global, w.site, w.before, w.base, w.from, w.lookup, w.changed, w.options, w.more)
}

// check has Caddy run the configuration, unless it is one that none runs, and
// checks it.
func (w *way) check() []adminapi.Finding {
	w.t.Helper()
	if w.running {
		if !w.loaded {
			w.load()
		}
		return w.checkAgain()
	}
	config, err := adapt(w.caddyfile())
	if err != nil {
		w.t.Fatal(err)
	}
	found, err := caddymodule.CheckAlone(w.t.Context(), config, w.inUse, w.to, w.horizon)
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

func (w *way) load() {
	w.t.Helper()
	w.stop()
	must(w.t, load(w.caddyfile()))
}

// stop has Caddy let go of the port: what runs no more must not answer in the place
// of what does, nor close what is connected to that.
func (w *way) stop() {
	w.t.Helper()
	must(w.t, caddy.Stop())
	patience := time.Now().Add(5 * time.Second)
	until(w.t, "nobody listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+w.port)
		if err != nil {
			return true
		}
		c.Close()
		if w.base == w.site && time.Now().After(patience) { // another program has taken the port
			w.overTCP()
			w.site = "http://127.0.0.1:" + w.port
			w.base = w.site
		}
		return false
	})
}

// checkAgain checks what runs.
func (w *way) checkAgain() []adminapi.Finding {
	w.t.Helper()
	found, err := caddymodule.CheckRunning(w.t.Context(), w.to, w.selector, w.horizon)
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// A misconfiguration is one thing that is wrong on a way, and what the check has to
// say of it. In problem and cure RELAY, BASE and DIR stand for those of the way.
type misconfiguration struct {
	name          string
	make          func(*way)
	part, step    string
	broken        bool
	problem, cure string // a part of it
}

// try makes each misconfiguration, alone, and wants the check to find that and
// nothing else.
func try(t *testing.T, w *way, all []misconfiguration) {
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			one, its := *w, *w.world
			one.world, its.t = &its, t
			m.make(&one)
			m.foundOnly(t, &one, one.check())
		})
	}
}

func (m misconfiguration) foundOnly(t *testing.T, w *way, found []adminapi.Finding) {
	t.Helper()
	said := 0
	for _, f := range found {
		if f.Problem == "" {
			if f.Broken || f.Cure != "" {
				t.Errorf("broken or a cure without a problem: %+v", f)
			}
			continue
		}
		if w.showsOnlyPart && f.Part != m.part {
			continue
		}
		said++
		names := strings.NewReplacer("RELAY", w.smtp, "BASE", w.base, "DIR", w.dir)
		if f.Part != m.part || f.Step != m.step || f.Broken != m.broken ||
			!strings.Contains(f.Problem, names.Replace(m.problem)) || !strings.Contains(f.Cure, names.Replace(m.cure)) {
			t.Errorf("found %+v\nwant %s, %s, broken %t: %s → %s", f, m.part, m.step, m.broken, m.problem, m.cure)
		}
	}
	if said != 1 {
		t.Errorf("%d problems were found: %+v", said, found)
	}
}

// briefly shortens what a part may take, for peers that never answer.
func (w *way) briefly() { w.horizon.PartTime = 300 * time.Millisecond }

// problems are the findings of something that is not fine.
func problems(found []adminapi.Finding) (bad []adminapi.Finding) {
	for _, f := range found {
		if f.Problem != "" {
			bad = append(bad, f)
		}
	}
	return bad
}

var quietLog = log.New(io.Discard, "", 0)
