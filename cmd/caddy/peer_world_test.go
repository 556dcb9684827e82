package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// spare is how many MiB all misbehaving peers together may cost, beside the
// twofold to which a collector lets a heap grow. One flood that is kept takes a
// gigabyte within seconds.
const spare = 64

// A pace is how long the program waits for its peers, and between attempts.
type pace struct {
	command time.Duration // one SMTP command and its answer
	attempt time.Duration // one attempt at a mail
	rest    time.Duration // of the queue, after a refused login
}

var (
	usualPace   = pace{command: 30 * time.Second, attempt: 90 * time.Second, rest: 30 * time.Second}
	hurriedPace = pace{command: hurried(2 * time.Second), attempt: hurried(5 * time.Second), rest: hurried(2 * time.Second)}
)

// hurried is longer for a program with the race detector, which would itself
// be the peer that is too slow.
func hurried(d time.Duration) time.Duration {
	if raceEnabled {
		return 4 * d
	}
	return d
}

// hurriedOnce builds the program with the waits of hurriedPace, so that a test
// sees within seconds what becomes of a mail when its relay is well again. All
// else in it is as it is.
var hurriedOnce = sync.OnceValues(func() (string, error) {
	usual, err := buildOnce()
	if err != nil {
		return "", err
	}
	path := usual + "-hurried" // goes with the folder
	dir, err := os.MkdirTemp("", "caddy-password-reset-overlay-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	source := func(d time.Duration) string { return fmt.Sprintf("%d * time.Millisecond", d.Milliseconds()) }
	return path, buildWith(path, dir,
		edit{"smtpout/client.go", "commandTimeout = 30 * time.Second", "commandTimeout = " + source(hurriedPace.command)},
		edit{"reset/worker.go", "context.WithTimeout(ctx, mailLease-leaseMargin)", "context.WithTimeout(ctx, " + source(hurriedPace.attempt) + ")"},
		edit{"reset/worker.go", "restAfterRefusal = 30 * time.Second", "restAfterRefusal = " + source(hurriedPace.rest)},
		edit{"reset/worker.go", "firstRest   = time.Second", "firstRest   = 100 * time.Millisecond"},
		edit{"reset/worker.go", "longestRest = 30 * time.Second", "longestRest = " + source(hurriedPace.rest)},
		edit{"reset/job.go", "{30 * time.Second, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}", "{time.Second, 2 * time.Second}"},
		edit{"reset/job.go", "5 * time.Second,  // 5 s", "time.Second,"},
		edit{"reset/job.go", "30 * time.Second, // 35 s", "2 * time.Second,"},
		edit{"reset/job.go", "2 * time.Minute,  // 3 min", "2 * time.Second,"},
	)
})

// A peerWorld is one program with many sites, each with peers of its own: what
// one of them does must trouble no other. The site of the world is one whose
// peers are well.
type peerWorld struct {
	*world
	Pace  pace
	Sites []*peerSite

	port    string
	client  *http.Client
	persons atomic.Int64

	mu      sync.Mutex
	secrets map[string]string // what must stay inside, and what it is
}

// newPeerWorld returns a world without sites but its own. Its relay is a plain
// one on loopback, to which scripted ones hand what they have taken.
func newPeerWorld(t *testing.T, p pace, persons int) *peerWorld {
	t.Helper()
	w := &peerWorld{world: newWorld(t), Pace: p, secrets: map[string]string{}}
	if p == hurriedPace {
		path, err := hurriedOnce()
		if err != nil {
			t.Fatal(err)
		}
		w.Binary = path
	}
	inbox, err := demo.NewInbox(demo.InboxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inbox.Close() })
	w.Inbox = inbox
	accounts := people(persons)
	for i := range accounts {
		accounts[i].Name = "Zoë" // needs more than ASCII, which no relay must be asked for
	}
	w.employ(accounts, nil)
	_, w.port, _ = net.SplitHostPort(strings.TrimPrefix(w.Site, "http://"))
	w.client = &http.Client{
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 64,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+w.port)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       time.Minute,
	}
	t.Cleanup(w.client.CloseIdleConnections)
	w.addSite(w.Site, w.smtp(), w.hook(demo.LookupPath), w.hook(demo.ChangedPath))
	w.hide("what a peer says", foreignText)
	for _, name := range []string{"RESET_SMTP_PASSWORD", "RESET_WEBHOOK_SECRET"} {
		w.hide(name, strings.TrimPrefix(w.Env[name], "whsec_"))
	}
	return w
}

// smtp, and hook, are the settings of peers that are well.
func (w *peerWorld) smtp() string { return "smtp " + w.Inbox.Addr() }

func (w *peerWorld) hook(path string) string { return "webhook http://" + w.Env["RESET_APP"] + path }

// newSite adds a site, before start. Each has an address of this machine for
// its name.
func (w *peerWorld) newSite(smtp, directory, target string) *peerSite {
	n := len(w.Sites)
	return w.addSite(fmt.Sprintf("http://127.0.%d.%d:%s", 1+n/250, 1+n%250, w.port), smtp, directory, target)
}

func (w *peerWorld) addSite(base, smtp, directory, target string) *peerSite {
	s := &peerSite{w: w, Base: base, settings: fmt.Sprintf(`%s {
	bind 127.0.0.1
	password_reset {
		base_url %[1]s
		from support@example.com
		%s
		directory %s
		target %s
		webhook_secret {env.RESET_WEBHOOK_SECRET}
		limits {
			per_ip off
		}
	}
	reverse_proxy {env.RESET_APP}
}
`, base, smtp, directory, target)}
	w.Sites = append(w.Sites, s)
	return s
}

// begin writes the Caddyfile and starts the program.
func (w *peerWorld) begin() {
	w.t.Helper()
	var b strings.Builder
	b.WriteString("{\n\tgrace_period 5s\n\tpassword_reset\n}\n")
	for _, s := range w.Sites {
		b.WriteString(s.settings)
	}
	w.Caddyfile = w.write("Caddyfile", []byte(b.String()))
	w.start()
}

// trial runs the program while act is at work, and then holds what is to hold
// whatever the peers do.
func (w *peerWorld) trial(tr *trial.Trial, act func(fail func(format string, args ...any))) {
	w.t.Helper()
	w.begin()
	fail := func(format string, args ...any) { tr.Violation("%v", fmt.Errorf(format, args...)) }
	if err := w.Sites[0].journey(); err != nil {
		w.t.Fatalf("before anything misbehaves: %v", err)
	}
	before, begun := w.peak(), time.Now()
	done := make(chan struct{})
	var neighbours sync.WaitGroup
	journeys := 0
	neighbours.Go(func() {
		for {
			if err := w.Sites[0].journey(); err != nil {
				fail("the neighbour: %w", err)
			}
			journeys++
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond): // it is there to see, not to load
			}
		}
	})
	act(fail)
	close(done)
	neighbours.Wait()
	after, took := w.peak(), time.Since(begun)
	if after > 2*before+spare && !raceEnabled {
		fail("the program grew from %d to %d MiB", before, after)
	}
	tr.Figures(fmt.Sprintf("%d sites in one program, %.0f s, %d journeys beside them, memory %d → %d MiB",
		len(w.Sites)-1, took.Seconds(), journeys, before, after))
	for _, found := range w.leaks() {
		fail("%s", found)
	}
	for _, found := range w.repeated() {
		fail("an alarm came again within a minute: %s", found)
	}
}

// person returns the login of somebody who has not asked yet.
func (w *peerWorld) person() string { return fmt.Sprintf("person-%d", w.persons.Add(1)-1) }

func address(login string) string { return login + "@example.com" }

// hide notes what no log and no file may hold.
func (w *peerWorld) hide(what, secret string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[secret] = what
	return secret
}

// leaks stops the program and returns where its log, or a file of it, holds
// what must stay inside.
func (w *peerWorld) leaks() (found []string) {
	w.t.Helper()
	w.stop()
	search := func(where, text string) {
		for secret, what := range w.secrets {
			if strings.Contains(text, secret) {
				found = append(found, what+" is in "+where)
			}
		}
	}
	log := w.log.String()
	search("the log", log)
	for i := range int(w.persons.Load()) {
		if strings.Contains(log, address(fmt.Sprintf("person-%d", i))) {
			found = append(found, "an address is in the log")
		}
	}
	files, err := filepath.Glob(filepath.Join(w.Home, storeDir, "*"))
	if err != nil || len(files) == 0 {
		w.t.Errorf("no files of the store: %v", err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			w.t.Error(err)
		}
		search(filepath.Base(f), string(content))
	}
	w.checkStore()
	return found
}

// peak is the most memory that the program has had, in MiB; 0 where the system
// does not tell.
func (w *peerWorld) peak() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.process.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	_, _ = fmt.Sscan(rest, &kib)
	return kib >> 10
}
