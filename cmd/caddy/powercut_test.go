package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// storeDir is where the example keeps its store, below the world's home.
var storeDir = filepath.Join("caddy", "password_reset")

// What the program has told anybody outlives a power cut: visitors by its
// answers, people by their mails, the app by a new password. For each of them
// the power goes at the moment before the first byte leaves, and what no sync
// had covered is lost: all of it, or some sectors. From the first start on, so
// the making of the store is in it too.
func TestTrialPowerCut(t *testing.T) {
	t.Parallel()
	strace := need(t, "strace", "strace")
	tr := trial.New(t, "power cut before an answer, a mail or a delivery")
	c := newCuts(t, tr.Size(20, 240), tr.Size(1, 10))
	c.variants, c.chance = tr.Size(1, 3), tr.Rand(1)
	c.world.traced(strace, c.act, c.take)
	if len(c.promises) > 0 {
		t.Errorf("not in the trace: %d promises such as %v", len(c.promises), c.promises)
	}
	for _, f := range c.broken {
		tr.Violation("%v", f)
	}
	tr.Runs(c.images)
	tr.Figures(fmt.Sprintf("%v; %d of %d images torn", c.kept, c.torn, c.images))
}

// cuts are people who are promised things, and power cuts at each promise.
type cuts struct {
	*world
	askers, rounds int
	variants       int // torn images for each moment
	planted        bool
	chance         *rand.Rand

	mu       sync.Mutex
	promises map[instant][]promise
	changes  map[string]string // login by webhook-id
	tokens   map[string]string // token by login, of those whose password is changed

	checks sync.WaitGroup
	slots  chan struct{}
	images int
	torn   int
	kept   map[string]int // promises that were kept on an image that is not torn
	broken []breach
}

func newCuts(t *testing.T, askers, rounds int) *cuts {
	w := newWorld(t)
	c := &cuts{
		world: w, askers: askers, rounds: rounds, variants: 1, chance: rand.New(rand.NewPCG(1, 2)),
		promises: map[instant][]promise{}, changes: map[string]string{}, tokens: map[string]string{},
		slots: make(chan struct{}, 16), kept: map[string]int{},
	}
	w.employ(people(askers+len(errands)*rounds), c.wrap)
	w.speak(openDialects)
	w.plainly()
	return c
}

// plainly has the mails go to a relay without TLS, so that a trace shows when
// each is handed over.
func (w *world) plainly() {
	w.t.Helper()
	inbox, err := demo.NewInbox(demo.InboxOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { inbox.Close() })
	w.Inbox = inbox
	w.Env["RESET_SMTP"] = inbox.Addr()
	w.amend("\t\t\tauth {$RESET_SMTP_USER:reset@example.com} {env.RESET_SMTP_PASSWORD}\n", "\t\t\ttls off\n")
}

// traced runs the program under strace while act is at work, and then replays
// what it did with its store.
func (w *world) traced(strace string, act func(), cut func(*disk, instant)) {
	w.t.Helper()
	trace := filepath.Join(w.Home, "trace")
	w.Wrap = []string{
		strace, "-f", "-yy", "-xx", "-ttt", "--seccomp-bpf", "-s", fmt.Sprint(1 << 26), "-o", trace, "-e", "signal=none", "-e", "trace=" + tracedCalls,
	}
	w.start()
	act()
	w.stop()
	f, err := os.Open(trace)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	dir, err := filepath.EvalSymlinks(filepath.Join(w.Home, storeDir))
	if err != nil {
		w.t.Fatal(err)
	}
	d := newDisk(dir)
	d.cut = func(m instant) { cut(d, m) }
	if err := d.replay(f); err != nil {
		w.t.Fatalf("replaying the trace: %v", err)
	}
	cut(d, "")
	if info, err := f.Stat(); err == nil {
		w.t.Logf("%d syncs in a trace of %d MB", d.syncs, info.Size()>>20)
	}
}

// take cuts the power at a moment if something was promised then. At the end
// of the trace, the empty moment, it waits for all checks.
func (c *cuts) take(d *disk, m instant) {
	if m == "" {
		c.checks.Wait()
		return
	}
	all := c.promises[m]
	n := slices.IndexFunc(all, func(p promise) bool { return p.after.After(d.now) })
	if n < 0 {
		n = len(all)
	}
	if n == 0 {
		return
	}
	promises := all[:n:n]
	if c.promises[m] = all[n:]; n == len(all) {
		delete(c.promises, m)
	}
	files, unsynced := d.synced()
	c.check(promises, files, false)
	for range c.variants {
		if unsynced {
			c.check(promises, d.torn(c.chance), true)
		}
	}
}

// check starts the store on an image, beside a few others.
func (c *cuts) check(promises []promise, files map[string][]byte, torn bool) {
	c.slots <- struct{}{}
	c.checks.Go(func() {
		defer func() { <-c.slots }()
		err := (&image{files: files, site: strings.TrimPrefix(c.Site, "http://"), promises: promises}).holds(c.t)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.images++
		if torn {
			c.torn++
		}
		if err != nil {
			c.broken = append(c.broken, breach{promises[0], torn, err})
			return
		}
		if !torn {
			c.kept[promises[0].what()]++
		}
	})
}

// act has everybody do what they came for.
func (c *cuts) act() {
	var all sync.WaitGroup
	// Those who wait longest begin.
	for i := range c.rounds {
		for n, errand := range errands {
			number := c.askers + i*len(errands) + n
			all.Go(func() {
				p := c.person(number, fmt.Sprintf("person-%d", number))
				p.asks("POST", surface, `{"login":"`+p.login+`"}`, http.StatusAccepted)
				errand(c, p)
			})
		}
	}
	starters := make(chan int)
	for range 16 {
		all.Go(func() {
			for i := range starters {
				c.asks(i)
			}
		})
	}
	for i := range c.askers {
		starters <- i
	}
	close(starters)
	all.Wait()
	// All jobs that a promise is about are due when this returns; see holds.
	for i := range c.askers {
		c.mail(fmt.Sprintf("person-%d@example.com", i), 1)
	}
	for _, m := range c.Inbox.Mails() {
		c.mailed(m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, login := range c.changes {
		c.promises[changeOf(id)] = []promise{{moment: changeOf(id), login: login, dead: c.tokens[login]}}
	}
}

// complain reports that somebody was not answered as they should be. A planted
// fault may have them notice by themselves.
func (c *cuts) complain(format string, args ...any) {
	c.t.Helper()
	if c.planted {
		c.t.Logf(format, args...)
		return
	}
	c.t.Errorf(format, args...)
}

// mailed notes that the link of a mail is to work when it is out.
func (c *cuts) mailed(m demo.Mail) {
	if link, err := m.Link(c.Site + surface); err == nil {
		c.keep(promise{moment: mailTo(m.To, 1), login: m.To, live: link[strings.LastIndexByte(link, '/')+1:]})
	}
}

func (c *cuts) keep(p promise) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.promises[p.moment] = append(c.promises[p.moment], p)
}

// asks has somebody ask for a mail, in one of the ways that there are.
func (c *cuts) asks(i int) {
	p := c.person(i, fmt.Sprintf("person-%d", i))
	switch n := i % (2 + len(vendors)); n {
	case 0:
		p.asks("POST", surface, "login="+p.login, http.StatusSeeOther)
	case 1:
		p.asks("POST", surface, `{"login":"`+p.login+`"}`, http.StatusAccepted)
	default:
		v := vendors[n-2]
		call := v.openStart(p.login)
		if v.name == "payabli" {
			p.login += "@example.com"
		}
		r := c.say(call, p.from...)
		if r.Status != v.accept.Status {
			c.complain("%s was answered %d: %s", v.name, r.Status, r.Body)
		}
		p.promised(r, promise{owed: reset.LetterReset}, 1)
	}
}

// wrap is before the app. It keeps which change is whose, and answers for the
// app as their errands have it.
func (c *cuts) wrap(app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != demo.ChangedPath {
			app.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		var event struct {
			Data struct {
				Account  struct{ Login string }
				Password struct{ Value string }
			}
		}
		if err = errors.Join(err, json.Unmarshal(body, &event)); err != nil {
			c.t.Error(err)
		}
		c.mu.Lock()
		c.changes[r.Header.Get("Webhook-Id")] = event.Data.Account.Login
		c.mu.Unlock()
		switch event.Data.Password.Value {
		case refusedPassword:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"detail":"had before"}`)
		case delayedPassword:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			r.Body = io.NopCloser(bytes.NewReader(body))
			app.ServeHTTP(w, r)
		}
	})
}
