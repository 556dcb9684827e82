package caddymodule_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/command"
)

// TestMain lets the test program be Caddy, for tests of more than one process.
func TestMain(m *testing.M) {
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	command.UseExample(string(text))
	if os.Getenv("BE_CADDY") != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// caddyCommand runs Caddy in a process of its own, with a home in dir.
func caddyCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "BE_CADDY=1", "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "TMPDIR="+dir)
	return cmd
}

// TestExamples holds that the Caddyfiles that people copy adapt, are formatted
// and hold no secret, and name all that they take from the environment.
func TestExamples(t *testing.T) {
	for _, file := range []string{"../Caddyfile.example", "../docs/Caddyfile.php"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if formatted := caddyfile.Format(text); !bytes.Equal(formatted, text) {
				t.Error("not formatted; run: caddy fmt --overwrite " + file)
			}
			t.Setenv("RESET_SMTP_PASSWORD", "hunter2-of-mail")
			t.Setenv("RESET_WEBHOOK_SECRET", secret)
			adapted, err := adapt(string(text))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{`"{env.RESET_SMTP_PASSWORD}"`, `"{env.RESET_WEBHOOK_SECRET}"`, `"grace_period":30000000000`, `"trusted_proxies_strict":1`} {
				if !bytes.Contains(adapted, []byte(want)) {
					t.Errorf("no %s in %s", want, adapted)
				}
			}
			for _, secret := range []string{"hunter2", secret} {
				if bytes.Contains(adapted, []byte(secret)) {
					t.Error("a secret stands in the adapted configuration")
				}
			}
			for _, m := range regexp.MustCompile(`\{(?:\$|env\.)(\w+)(?::([^}]*))?\}`).FindAllStringSubmatch(string(text), -1) {
				if !regexp.MustCompile(`(?m)^#   ` + m[1] + ` .*` + regexp.QuoteMeta(m[2])).Match(text) {
					t.Errorf("no comment on %s with its default %q", m[1], m[2])
				}
			}
		})
	}
}

// TestPHPExample holds that the hooks of the second example are served on their
// own site only, and everything else as with the first.
func TestPHPExample(t *testing.T) {
	w := newWorld(t)
	php, calls := fakeFastCGI(t)
	root := w.path("app")
	for _, name := range []string{"index.php", "hooks/lookup.php"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.overTCP()
	site := "127.0.0.1:" + w.port
	w.overTCP()
	hooks := "127.0.0.1:" + w.port
	for name, value := range map[string]string{
		"RESET_SITE":          "http://" + site,
		"RESET_BASE_URL":      "http://" + site,
		"RESET_ROOT":          root,
		"RESET_PHP":           php,
		"RESET_HOOKS":         hooks,
		"RESET_SMTP_PASSWORD": "any",
		"XDG_DATA_HOME":       w.dir,
	} {
		t.Setenv(name, value)
	}
	text, err := os.ReadFile("../docs/Caddyfile.php")
	if err != nil {
		t.Fatal(err)
	}
	if err := load(strings.Replace(string(text), "\n{\n", "\n{\n\tadmin off\n\tpersist_config off\n", 1)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		address, path string
		status        int
		php           bool
	}{
		{site, "/password-reset", 200, false},
		{site, "/hooks/lookup.php", 404, false},
		{site, "/index.php/hooks/lookup", 404, false},
		{site, "/forgot.php?user=1", 302, false},
		{site, "/index.php/forgot/me", 302, false},
		{site, "/index.php", 502, true}, // the sample PHP hangs up
		{site, "/any/page", 502, true},
		{hooks, "/hooks/lookup.php", 502, true},
		{hooks, "/index.php", 404, false},
	} {
		before := calls.Load()
		host, port, _ := strings.Cut(tt.address, ":")
		w.port = port
		w.client.CloseIdleConnections()
		resp, _ := w.do("GET", tt.path, "", "Host", host+":"+port)
		if php := calls.Load() != before; resp.StatusCode != tt.status || php != tt.php {
			t.Errorf("%s%s: got %d, PHP reached: %t; want %d, %t", tt.address, tt.path, resp.StatusCode, php, tt.status, tt.php)
		}
	}
}

// TestDemoDrive runs the example with the sample app, and walks through it.
func TestDemoDrive(t *testing.T) {
	dir := t.TempDir()
	out, err := caddyCommand(t, dir, "password-reset", "demo", "--drive").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if steps := bytes.Count(out, []byte("ok  ")); steps < 20 {
		t.Errorf("only %d steps:\n%s", steps, out)
	}
	nothingLeft(t, dir)
}

// TestDemo starts the demo as a person does, and ends it with Ctrl-C.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	cmd := caddyCommand(t, dir, "password-reset", "demo")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			break
		}
	}
	for name, path := range map[string]string{"site": "/password-reset", "inbox": "/", "app": "/login"} {
		m := regexp.MustCompile(`(?m)^  ` + name + ` +(http://127\.0\.0\.1:\d+) `).FindStringSubmatch(text.String())
		if m == nil {
			t.Fatalf("no address of the %s in:\n%s", name, text.String())
		}
		resp, err := http.Get(m[1] + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d", name, resp.StatusCode)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ending: %v", err)
	}
	nothingLeft(t, dir)
}

// nothingLeft looks for files of the demo.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.Contains(path, "reset") {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestValidateProcess judges a configuration beside the server that runs it,
// as operators do before each reload.
func TestValidateProcess(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{})
	file := w.path("Caddyfile")
	if err := os.WriteFile(file, []byte(w.caddyfile(config{})), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := caddyCommand(t, w.dir, "validate", "--adapter", "caddyfile", "--config", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	w.ask("alice")
}

// TestExit ends Caddy while a new password is on its way to the app and nobody
// waits for it any more: the outcome is still noted, so that the app is not
// told twice, and the exit is clean.
func TestExit(t *testing.T) {
	w := newWorld(t)
	reached, held := make(chan struct{}, 9), make(chan struct{})
	proceed := sync.OnceFunc(func() { close(held) })
	t.Cleanup(proceed)
	app := w.hooks.Config.Handler
	w.hooks.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hooks/password-changed" {
			reached <- struct{}{}
			<-held
		}
		app.ServeHTTP(rw, r)
	})
	file := w.path("Caddyfile")
	if err := os.WriteFile(file, []byte(w.caddyfile(config{top: "grace_period 10s"})), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := caddyCommand(t, w.dir, "run", "--adapter", "caddyfile", "--config", file)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "Caddy serves", func() bool {
		_, err := os.Stat(w.path("w.sock"))
		return err == nil && len(w.logged("serving initial configuration")) > 0
	})
	w.ask("alice")
	link, err := w.mail("alice@example.com", 1).Link("https://app.example.com/password-reset")
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	body := `{"token":"` + link[strings.LastIndexByte(link, '/')+1:] + `","password":"a calm sea at night"}`
	r, err := http.NewRequestWithContext(ctx, "POST", "http://app.example.com/password-reset/new", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := w.client.Do(r); err == nil {
			resp.Body.Close()
			t.Error("answered before the app was")
		}
	}()
	<-reached
	leave()
	<-gone
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, "Caddy begins to stop", func() bool { return len(w.logged("shutting down")) > 0 })
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case err := <-exited:
		t.Fatalf("gone with a change on its way: %v\n%s", err, out.String())
	case <-time.After(300 * time.Millisecond):
	}
	proceed()
	began := time.Now()
	if err := <-exited; err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the exit took %s", took)
	}

	w.mustLoad(config{})
	w.mail("alice@example.com", 2)
	changes := 0
	for _, d := range w.app.Deliveries() {
		if d.Type == "password.changed" {
			changes++
		}
	}
	if changes != 1 {
		t.Errorf("the app was told %d times", changes)
	}
}
