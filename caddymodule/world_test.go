package caddymodule_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// A world is the sample app, its inbox, and what it takes to put Caddy before
// them, in a folder of its own. All of Caddy in this process is one, so no two
// tests run at once.
type world struct {
	t      testing.TB
	dir    string
	app    *demo.App
	hooks  *httptest.Server
	inbox  *demo.Inbox
	client *http.Client
	port   string // of the site on 127.0.0.1; "": it is on a socket
}

func newWorld(t testing.TB) *world {
	t.Helper()
	// The name of a socket has at most 107 bytes; t.TempDir has long ones.
	dir, err := os.MkdirTemp("", "w")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{t: t, dir: dir}
	if w.app, err = demo.NewApp(demo.Options{Secret: secret}); err != nil {
		t.Fatal(err)
	}
	w.hooks = httptest.NewServer(w.app)
	t.Cleanup(w.hooks.Close)
	if w.inbox, err = demo.NewInbox(demo.InboxOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.inbox.Close() })
	transport := &http.Transport{
		// Caddy closes connections that wait for a next request when it loads
		// a configuration, perhaps just when one comes.
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if w.port != "" {
				return new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+w.port)
			}
			return new(net.Dialer).DialContext(ctx, "unix", w.path("w.sock"))
		},
		MaxIdleConnsPerHost: 64,
	}
	t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Setenv("RESET_WEBHOOK_SECRET", secret)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	return w
}

// overTCP moves the site from the socket to a port. After a reload that failed
// Caddy itself cannot use a socket again.
func (w *world) overTCP() {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	defer l.Close()
	_, w.port, _ = net.SplitHostPort(l.Addr().String())
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// A config is what differs from the plain one.
type config struct {
	store   string // file of the store; by default reset.db
	global  string // more lines in the global block
	options string // more lines in the site's password_reset block
	before  string // lines of the site before that block
	after   string // lines of the site after it; by default a proxy to the app
	top     string // more global options
	more    string // more sites
}

// caddyfile writes the Caddyfile of a site app.example.com on a socket.
func (w *world) caddyfile(c config) string {
	address, bind := "http://app.example.com", "unix/"+w.path("w.sock")
	if w.port != "" {
		address, bind = address+":"+w.port, "127.0.0.1"
	}
	return fmt.Sprintf(`{
	admin off
	persist_config off
	debug
	log {
		output file %[1]s/log {
			mode 0600
		}
		format json
	}
	%[9]s
	password_reset {
		store bbolt %[8]s
		smtp %[2]s
		%[3]s
	}
}
%[11]s {
	bind %[12]s
	log
	%[4]s
	password_reset {
		base_url https://app.example.com
		from support@example.com
		directory webhook %[5]s/hooks/lookup
		target webhook %[5]s/hooks/password-changed
		webhook_secret {env.RESET_WEBHOOK_SECRET}
		take_over /forgot-password*
		%[6]s
	}
	%[7]s
}
%[10]s
`, w.dir, w.inbox.Addr(), c.global, c.before, w.hooks.URL, c.options,
		cmp.Or(c.after, "reverse_proxy "+w.hooks.URL), cmp.Or(c.store, w.path("reset.db")), c.top, c.more, address, bind)
}

// load makes Caddy run a Caddyfile in place of what it ran before.
func load(caddyfile string) error {
	adapted, err := adapt(caddyfile)
	if err != nil {
		return err
	}
	return caddy.Load(adapted, true)
}

func (w *world) mustLoad(c config) {
	w.t.Helper()
	if err := load(w.caddyfile(c)); err != nil {
		w.t.Fatal(err)
	}
}

// do makes one request. A body in braces is sent as JSON, any other as a form.
func (w *world) do(method, path, body string, header ...string) (*http.Response, string) {
	w.t.Helper()
	for tries := 1; ; tries++ {
		resp, answer, err := w.try(method, path, body, header...)
		if err == nil {
			return resp, answer
		}
		// A server that is taken down closes what it has just accepted, and one
		// of a configuration that is refused accepts for a moment.
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) || tries == 10 {
			w.t.Fatal(err)
		}
	}
}

// try is do for a request that may stay without an answer.
func (w *world) try(method, path, body string, header ...string) (*http.Response, string, error) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://app.example.com"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if strings.HasPrefix(body, "{") {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := w.client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp, string(answer), err
}

// expect makes one request and wants a status, and some text in the answer.
func (w *world) expect(status int, text, method, path, body string, header ...string) {
	w.t.Helper()
	resp, answer := w.do(method, path, body, header...)
	if resp.StatusCode != status || !strings.Contains(answer, text) {
		w.t.Errorf("%s %s: got %d, want %d with %q in:\n%s", method, path, resp.StatusCode, status, text, answer)
	}
}

// ask asks for a mail, and is sure that it was noted.
func (w *world) ask(login string) {
	w.t.Helper()
	w.expect(http.StatusAccepted, `"accepted"`, "POST", "/password-reset", `{"login":"`+login+`"}`)
}

// mail waits for the n-th mail to an address.
func (w *world) mail(to string, n int) demo.Mail {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	m, err := w.inbox.Wait(ctx, to, n)
	if err != nil {
		w.t.Fatalf("mail number %d to %s: %v\n%s", n, to, err, w.log())
	}
	return m
}

// log returns what Caddy has logged, access log included.
func (w *world) log() string {
	w.t.Helper()
	b, err := os.ReadFile(w.path("log"))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// logged returns the lines with a message.
func (w *world) logged(message string) (lines []map[string]any) {
	w.t.Helper()
	for line := range bytes.Lines([]byte(w.log())) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			w.t.Fatalf("%s: %v", line, err)
		}
		if text, _ := fields["msg"].(string); strings.Contains(text, message) {
			lines = append(lines, fields)
		}
	}
	return lines
}

// until waits for a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: still not after a minute", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// openFiles counts the descriptors of this process on a file.
func openFiles(t testing.TB, name string) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc on this system")
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && target == name {
			n++
		}
	}
	return n
}
