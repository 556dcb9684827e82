package caddymodule_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
)

const patient = "limits {\n per_ip off\n per_account off\n}"

// running is the app of the configuration that Caddy runs.
func (w *world) running() *caddymodule.App {
	w.t.Helper()
	ctx := caddy.ActiveContext()
	app, err := ctx.AppIfConfigured("password_reset")
	if err != nil {
		w.t.Fatal(err)
	}
	return app.(*caddymodule.App)
}

func (w *world) export() []byte {
	w.t.Helper()
	var copy bytes.Buffer
	if err := caddymodule.Export(w.running(), w.t.Context(), &copy, nil); err != nil {
		w.t.Fatal(err)
	}
	return copy.Bytes()
}

func (w *world) restore(copy []byte) error {
	w.t.Helper()
	return caddymodule.Restore(w.running(), w.t.Context(), bytes.NewReader(copy))
}

// token asks for a mail, the n-th to a login, and returns the token in it.
func (w *world) token(login string, n int) string {
	w.t.Helper()
	w.ask(login)
	link, err := w.mail(login+"@example.com", n).Link("https://app.example.com/password-reset")
	if err != nil {
		w.t.Fatal(err)
	}
	return link[strings.LastIndexByte(link, '/')+1:]
}

// use sends a new password with a token, and wants text in the answer.
func (w *world) use(token, text string) {
	w.t.Helper()
	_, body := w.do("POST", "/password-reset/new", `{"token":"`+token+`","password":"a calm sea at night"}`)
	if !strings.Contains(body, text) {
		w.t.Errorf("got %s, want %q", body, text)
	}
}

// leftAlone holds that the store is in use as ever, and that no copy is left.
func (w *world) leftAlone() {
	w.t.Helper()
	w.ask("nobody")
	if n := openFiles(w.t, w.path("reset.db")); n != 1 {
		w.t.Errorf("the store is open %d times", n)
	}
	if names, _ := filepath.Glob(w.path("*.copy")); len(names) > 0 {
		w.t.Errorf("%q were left behind", names)
	}
}

// TestRestore holds that a copy can be put back while the server runs: a link
// that was used since works no more, nor does any other earlier one, workers go
// on, and the previous store is kept.
func TestRestore(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{options: patient})
	used, unused := w.token("alice", 1), w.token("alice", 2)
	copy := w.export()
	w.use(used, "changed")
	w.mail("alice@example.com", 3) // says so
	if err := w.restore(copy); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{used, unused} {
		w.use(token, "link")
	}
	w.use(w.token("alice", 4), "changed")
	w.mail("alice@example.com", 5)
	if n := len(w.logged("an older copy of the store was put back")); n != 1 {
		t.Errorf("%d alarms about an older copy", n)
	}
	lines := w.logged("a copy was put in the place of the store")
	if len(lines) != 1 || lines[0]["kept"] != w.path("reset.db.before-restore") {
		t.Errorf("logged %v", lines)
	}
	if _, err := os.Stat(w.path("reset.db.before-restore")); err != nil {
		t.Error(err)
	}
	w.leftAlone()
}

// TestRestoreReportsPendingChange holds that whoever had set a password that the
// app did not take before the copy was put back is told, and that the app does
// not get it.
func TestRestoreReportsPendingChange(t *testing.T) {
	w := newWorld(t)
	var down atomic.Bool
	var applied atomic.Int64
	app := w.hooks.Config.Handler
	w.hooks.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hooks/password-changed" {
			if down.Load() {
				rw.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			applied.Add(1)
		}
		app.ServeHTTP(rw, r)
	})
	down.Store(true)
	w.mustLoad(config{options: patient})
	w.use(w.token("alice", 1), "pending")
	copy := w.export()
	if err := w.restore(copy); err != nil {
		t.Fatal(err)
	}
	down.Store(false)
	w.mail("alice@example.com", 2)
	if n := len(w.logged("a new password could not be applied and its owner is told")); n != 1 {
		t.Errorf("%d alarms about it", n)
	}
	if applied.Load() != 0 {
		t.Error("the app got the change")
	}
}

// TestRestoreUnderLoad holds that requests meanwhile are answered as ever or
// with 503, and as ever in the end.
func TestRestoreUnderLoad(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{options: patient, global: "mails off", after: "respond app"})
	copy := w.export()
	w.ask("warm")
	goroutines := runtime.NumGoroutine()
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var answered, refused atomic.Int64
	for range 8 {
		clients.Go(func() {
			for ctx.Err() == nil {
				resp, body, err := w.try("POST", "/password-reset", `{"login":"nobody"}`)
				switch {
				case err != nil:
					t.Error(err)
					return
				case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
					refused.Add(1)
				case resp.StatusCode == http.StatusAccepted:
					answered.Add(1)
				default:
					t.Errorf("got %d: %s", resp.StatusCode, body)
					return
				}
				if resp, body, err := w.try("GET", "/any", ""); err != nil || body != "app" {
					t.Errorf("the app's own: %v, %v, %s", err, resp, body)
				}
			}
		})
	}
	for range 5 {
		before := answered.Load()
		if err := w.restore(copy); err != nil {
			t.Error(err)
		}
		until(t, "requests are answered", func() bool { return answered.Load() > before+20 })
	}
	stop()
	clients.Wait()
	t.Logf("%d requests were answered, %d refused", answered.Load(), refused.Load())
	until(t, "the previous workers have ended", func() bool {
		w.hooks.CloseClientConnections()
		return runtime.NumGoroutine() <= goroutines+8
	})
	w.leftAlone()
}

// TestRestoreRefused holds that a copy that would not open is never put in the
// place of the store, and that what is refused says what to do.
func TestRestoreRefused(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{options: patient, store: w.path("other/reset.db")})
	w.ask("nobody")
	other := w.export()
	w.mustLoad(config{options: patient})
	token := w.token("alice", 1)
	good := w.export()

	// A bit flips in a value: nothing but the seal can tell.
	flipped := bytes.Clone(good)
	db := filepath.Join(t.TempDir(), "reset.db")
	for i := len(flipped) / 2; ; i++ {
		flipped[i] ^= 1
		c, err := embeddedstore.Receive(t.Context(), db, bytes.NewReader(flipped))
		if err == nil {
			c.Discard()
			if err := w.restore(flipped); err != nil {
				break
			}
			t.Fatalf("a flipped bit at %d had no effect; want one in a value", i)
		}
		flipped[i] ^= 1
	}
	for name, tt := range map[string]struct {
		copy []byte
		want string
	}{
		"empty":            {nil, "it is empty"},
		"not a store":      {make([]byte, 1<<20), "does not begin as a store does"},
		"cut off":          {good[:len(good)-4096], "bytes of"},
		"of another store": {other, "add the key of that time"},
		"flipped bit":      {flipped, "take another one"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := w.restore(tt.copy); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("restore = %v; want %q", err, tt.want)
			}
			w.leftAlone()
		})
	}
	w.use(token, "changed")
}

// TestRestoreWhileInUse holds that a restore that has to wait for too long
// changes nothing, and can be made later.
func TestRestoreWhileInUse(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{options: patient})
	token := w.token("alice", 1)
	copy := w.export()
	caddymodule.SetPatience(w.running(), 10*time.Millisecond)
	_, release, err := caddymodule.Open(w.running(), t.Context(), "app.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.restore(copy); err == nil || !strings.Contains(err.Error(), "still in use") {
		t.Errorf("restore = %v", err)
	}
	w.leftAlone()
	w.use(token, "changed")
	w.mail("alice@example.com", 2) // the workers go on
	release()
	caddymodule.SetPatience(w.running(), time.Minute)
	if err := w.restore(copy); err != nil {
		t.Errorf("restore = %v", err)
	}
	w.use(w.token("alice", 3), "changed")
	w.leftAlone()
}

// A slowCopy holds a restore back in the middle of its copy.
type slowCopy struct {
	first, rest []byte
	reached     chan struct{}
	proceed     chan struct{}
	once        sync.Once
}

func slowly(copy []byte) *slowCopy {
	return &slowCopy{first: copy[:100], rest: copy[100:], reached: make(chan struct{}), proceed: make(chan struct{})}
}

func (c *slowCopy) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	c.once.Do(func() { close(c.reached); <-c.proceed })
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// TestRestoreAndOthers holds that a second restore, a copy, a reload or an exit
// beside a restore harms nothing.
func TestRestoreAndOthers(t *testing.T) {
	w := newWorld(t)
	w.overTCP()
	w.mustLoad(config{options: patient})
	token := w.token("alice", 1)
	backup := w.export()
	begin := func() (*slowCopy, chan error) {
		c, result := slowly(backup), make(chan error, 1)
		app := w.running()
		go func() { result <- caddymodule.Restore(app, context.Background(), c) }()
		<-c.reached
		return c, result
	}

	c, result := begin()
	if err := w.restore(backup); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second restore = %v", err)
	}
	if err := caddymodule.Export(w.running(), t.Context(), io.Discard, nil); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a copy = %v", err)
	}
	w.mustLoad(config{options: patient + "\nname Other"})
	close(c.proceed)
	if err := <-result; err == nil || !strings.Contains(err.Error(), "configuration was replaced") {
		t.Errorf("restore beside a reload = %v", err)
	}
	w.leftAlone()
	w.use(token, "changed")

	// While the store is out of use.
	wait := func() (release func(), result chan error) {
		_, release, err := caddymodule.Open(w.running(), t.Context(), "app.example.com")
		if err != nil {
			t.Fatal(err)
		}
		result = make(chan error, 1)
		app := w.running()
		go func() { result <- caddymodule.Restore(app, context.Background(), bytes.NewReader(backup)) }()
		until(t, "the store is out of use", func() bool {
			resp, _ := w.do("POST", "/password-reset", `{"login":"nobody"}`)
			return resp.StatusCode == http.StatusServiceUnavailable
		})
		return release, result
	}
	release, result := wait()
	if err := load(w.caddyfile(config{options: patient})); err == nil || !strings.Contains(err.Error(), "try again in a moment") {
		t.Errorf("a reload = %v", err)
	}
	release()
	if err := <-result; err != nil {
		t.Errorf("restore = %v", err)
	}
	w.leftAlone()

	release, result = wait()
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err == nil || !strings.Contains(err.Error(), "Caddy is stopping") {
		t.Errorf("restore beside an exit = %v", err)
	}
	release()
	until(t, "store is closed", func() bool { return openFiles(t, w.path("reset.db")) == 0 })
	w.mustLoad(config{options: patient})
	w.leftAlone()
}

// TestRestoreDamagedStore holds that a store that does not open can be replaced
// while the server runs: that is what copies are for.
func TestRestoreDamagedStore(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{options: patient})
	w.ask("nobody")
	copy := w.export()
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "store is closed", func() bool { return openFiles(t, w.path("reset.db")) == 0 })
	if err := os.Truncate(w.path("reset.db"), 5000); err != nil {
		t.Fatal(err)
	}
	w.mustLoad(config{options: patient})
	w.expect(503, "", "POST", "/password-reset", `{"login":"alice"}`)
	if err := w.restore(copy); err != nil {
		t.Fatal(err)
	}
	w.use(w.token("alice", 1), "changed")
	w.leftAlone()
}

// TestRestoreUndone holds that the previous store comes back where a copy that
// was found good does not open after all.
func TestRestoreUndone(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{options: patient})
	copy := w.export()
	token := w.token("alice", 1)
	// The number beside the store cannot be written.
	obstacle := w.path("reset.db.generation.new")
	if err := errors.Join(os.Mkdir(obstacle, 0o700), os.WriteFile(filepath.Join(obstacle, "x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := w.restore(copy); err == nil || !strings.Contains(err.Error(), "the previous store is in use again") {
		t.Errorf("restore = %v", err)
	}
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	until(t, "store opens", func() bool { return len(w.logged("store has opened")) == 1 })
	w.use(token, "changed")
	w.leftAlone()
}
