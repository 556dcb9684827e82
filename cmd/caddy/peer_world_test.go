package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/overlay"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A pace is how long the program waits for its peers, and between attempts.
type pace struct {
	command time.Duration // one SMTP command and its answer
	attempt time.Duration // one attempt at a mail
}

var (
	usualPace   = pace{command: 30 * time.Second, attempt: 90 * time.Second}
	hurriedPace = pace{command: 2 * time.Second, attempt: 5 * time.Second}
)

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
	o, err := overlay.New(dir)
	if err != nil {
		return "", err
	}
	for _, r := range [][3]string{
		{"smtpout/client.go", "commandTimeout = 30 * time.Second", "commandTimeout = 2 * time.Second"},
		{"reset/worker.go", "context.WithTimeout(ctx, mailLease-leaseMargin)", "context.WithTimeout(ctx, 5*time.Second)"},
		{"reset/worker.go", "restAfterRefusal = 30 * time.Second", "restAfterRefusal = time.Second"},
		{"reset/job.go", "{30 * time.Second, 2 * time.Minute,", "{time.Second, 2 * time.Second,"},
		{"reset/job.go", "5 * time.Second,  // 5 s", "time.Second,"},
		{"reset/job.go", "30 * time.Second, // 35 s", "2 * time.Second,"},
	} {
		if err := o.Replace(r[0], r[1], r[2]); err != nil {
			return "", err
		}
	}
	flag, err := o.Flag()
	if err != nil {
		return "", err
	}
	return path, build(path, flag)
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

// A peerSite is one of the sites. Its methods return errors, since they are
// called from many goroutines at once.
type peerSite struct {
	Base string

	w        *peerWorld
	settings string
}

// id is what the log names it by.
func (s *peerSite) id() string { return strings.TrimPrefix(s.Base, "http://") }

// call sends a request; a body makes it a POST, of a form or of JSON.
func (s *peerSite) call(path, body string) (status int, text string, err error) {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(s.w.t.Context(), method, s.Base+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "application/json")
	}
	r, err := s.w.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, string(b), err
}

// expect sends a request and returns an error for another answer.
func (s *peerSite) expect(status int, text, path, body string) error {
	got, answer, err := s.call(path, body)
	if err == nil && (got != status || !strings.Contains(answer, text)) {
		err = fmt.Errorf("%s is answered %d, not %d with %q: %.300s", strings.SplitAfter(path, "/link")[0], got, status, text, answer)
	}
	return err
}

// ask asks for somebody, and for nobody: the answers are the same.
func (s *peerSite) ask(login string) error {
	var answers [2]string
	for i, login := range []string{login, strings.Replace(login, "person", "nobody", 1)} {
		status, text, err := s.call("/password-reset", `{"login":"`+login+`"}`)
		if err != nil {
			return err
		}
		if status != http.StatusAccepted {
			return fmt.Errorf("asking is answered %d: %s", status, text)
		}
		answers[i] = reference.ReplaceAllString(text, "REFERENCE")
	}
	if answers[0] != answers[1] {
		return fmt.Errorf("answers differ: %s and %s", answers[0], answers[1])
	}
	return nil
}

// mailed waits for the n-th mail to somebody and returns it with its token.
func (s *peerSite) mailed(login string, n int) (demo.Mail, string, error) {
	m, err := s.next(login, n)
	if err != nil {
		return m, "", err
	}
	link, err := m.Link(s.Base + "/password-reset")
	if err != nil {
		return m, "", err
	}
	code, err := m.Code()
	if err != nil {
		return m, "", err
	}
	s.w.hide("a code", code)
	return m, s.w.hide("a token", link[strings.LastIndexByte(link, '/')+1:]), nil
}

func (s *peerSite) next(login string, n int) (demo.Mail, error) {
	ctx, cancel := context.WithTimeout(s.w.t.Context(), time.Minute+2*s.w.Pace.attempt)
	defer cancel()
	return s.w.Inbox.Wait(ctx, address(login), n)
}

// password is one that somebody might choose.
func (s *peerSite) password(login string) string {
	return s.w.hide("a password", "a calm sea at night, said "+strings.ReplaceAll(login, "-", " "))
}

// change sets a new password.
func (s *peerSite) change(token, password string) (status int, text string, err error) {
	return s.call("/password-reset/new", `{"token":"`+token+`","password":"`+password+`"}`)
}

// dead says whether a link is.
func (s *peerSite) dead(token string) error {
	return s.expect(http.StatusGone, "", "/password-reset/link/"+token, "")
}

// changed holds that a change of somebody's has arrived: the notice is the
// n-th mail, the app lets them in, and the link is dead.
func (s *peerSite) changed(login, token, password string, n int) error {
	m, err := s.next(login, n)
	if err != nil {
		return err
	}
	if _, err := m.Code(); err == nil {
		return errors.New("a mail with a code came in the place of a notice")
	}
	form := url.Values{"login": {login}, "password": {password}}
	if err := s.expect(http.StatusSeeOther, "", demo.LoginPath, form.Encode()); err != nil {
		return err
	}
	return s.dead(token)
}

// journey walks the whole way of somebody new, and looks at a page of the app.
func (s *peerSite) journey() error {
	login := s.w.person()
	if err := s.expect(http.StatusOK, "Log in", demo.LoginPath, ""); err != nil {
		return err
	}
	if err := s.ask(login); err != nil {
		return err
	}
	_, token, err := s.mailed(login, 1)
	if err != nil {
		return err
	}
	password := s.password(login)
	if status, text, err := s.change(token, password); err != nil || status != http.StatusOK {
		return fmt.Errorf("the change is answered %d, %v: %s", status, err, text)
	}
	return s.changed(login, token, password, 2)
}
