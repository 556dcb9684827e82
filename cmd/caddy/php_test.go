package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// firstPassword is that of everybody in testdata/php-app.
const firstPassword = "the very first password"

// fpmConfig is a pool: its folder, the secret, and who it runs as.
const fpmConfig = `[global]
error_log = /proc/self/fd/2
daemonize = no
[app]
listen = %[1]s/fpm.sock
pm = static
pm.max_children = 3
catch_workers_output = yes
decorate_workers_output = no
env[RESET_WEBHOOK_SECRET] = "%[2]s"
env[RECEIVER_DATA] = "%[1]s/accounts.db"
php_admin_value[display_errors] = off
php_admin_flag[log_errors] = on
%[3]s`

var phpFault = regexp.MustCompile(`PHP (Fatal|Parse|Warning|Notice|Deprecated)`)

// A PHP app as it stands on many machines: docs/Caddyfile.php, PHP-FPM, and
// the receiver of the documentation.
func TestPHPApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fpm := startPHP(w)
	w.Caddyfile = filepath.Join("..", "..", "docs", "Caddyfile.php")
	hooks := freeAddress(t)
	w.Env["RESET_HOOKS"] = hooks
	w.start()
	v := newVisitor(t, w.Site)

	// One person, who is logged in on another device all the while.
	other := newVisitor(t, w.Site)
	other.expect("the login page", other.get("/login.php"), http.StatusOK, "", "Forgot your password?")
	other.expect("the first password", other.post("/login.php", login("alice", firstPassword)), http.StatusOK, "/", "Hello, Alice.")

	// The link on the login page leads to the app's old page and so to ours.
	v.expect("the link on the login page", v.get("/forgot.php"), http.StatusOK, surface, `name="login"`)
	v.ask("alice")
	token := v.open(v.wait(w.Inbox, "alice", 1))
	v.expect("what the app cannot store", v.choose(token, strings.Repeat("long word ", 8)), http.StatusUnprocessableEntity, surface+"/new",
		"The password must not be longer than 72 bytes.")
	const password = "granite lantern opera 58"
	v.expect("choosing a password", v.choose(token, password), http.StatusOK, surface+"/done", `href="/login.php"`)
	v.wait(w.Inbox, "alice", 2)
	v.expect("the old password", v.post("/login.php", login("alice", firstPassword)), http.StatusUnauthorized, "", "")
	v.expect("the new password", v.post("/login.php", login("alice", password)), http.StatusOK, "/", "Hello, Alice.")
	other.expect("the other device", other.get("/"), http.StatusOK, "", "Hello, stranger.")
	// Others ask by address, or for an account that does not exist.
	v.ask("bob@example.com")
	v.open(v.wait(w.Inbox, "bob", 1))
	v.ask("mallory")

	t.Run("old reset page", func(t *testing.T) {
		for _, path := range []string{
			"/forgot.php", "/forgot.php/", "/forgot.php/step/2", "/FORGOT.PHP", "//forgot.php", "/./forgot.php", "/x/../forgot.php", "/%66orgot.php",
			"/forgot.php?step=2", "/forgot.php;x=y", "/index.php/forgot", "/index.php/forgot/now", "/index.php//forgot",
		} {
			for method, want := range map[string]int{"GET": http.StatusFound, "POST": http.StatusSeeOther} {
				r := w.do(method, path, "")
				if r.Status != want || r.Header.Get("Location") != surface {
					t.Errorf("%s %s: status %d to %q", method, path, r.Status, r.Header.Get("Location"))
				}
			}
		}
	})
	t.Run("hooks from outside", func(t *testing.T) {
		for _, path := range []string{
			"/hooks/lookup.php", "/hooks/password-changed.php", "/hooks/", "/HOOKS/lookup.php", "//hooks/lookup.php", "/./hooks/lookup.php",
			"/x/../hooks/lookup.php", "/hooks/lookup.php/x", "/hooks%2flookup.php", "/%68ooks/lookup.php", "/hooks/lookup.php%00.js",
			"/hooks/lookup.php;x=y", "/index.php/hooks/lookup.php", "/index.php/hooks/lookup", "/index.php/HOOKS/lookup.php", "/index.php//hooks/lookup.php", "/login.php/../hooks/lookup.php",
			"/login.php/hooks/lookup.php/../../../hooks/lookup.php", "/receiver.php", "/../receiver.php", "/..%2freceiver.php", "/../app.php",
		} {
			r := w.do("POST", path, `{"type":"account.lookup","data":{"login":"alice"}}`)
			if r.Status != http.StatusNotFound {
				t.Errorf("%s: status %d: %s", path, r.Status, r.Body)
			}
		}
		pretend := func(r *http.Request) { r.Host = hooks }
		v.expect("the host of the hooks", v.peek("POST", "/hooks/lookup.php", pretend), http.StatusNotFound, "", "")
	})
	t.Run("hooks from inside", func(t *testing.T) {
		inside := newVisitor(t, "http://"+hooks)
		inside.expect("an unsigned lookup", inside.post("/hooks/lookup.php", nil), http.StatusUnauthorized, "", "")
		inside.expect("an unsigned change", inside.post("/hooks/password-changed.php", nil), http.StatusUnauthorized, "", "")
		for _, path := range []string{"/", "/login.php", surface} {
			inside.expect(path, inside.get(path), http.StatusNotFound, "", "")
		}
	})
	t.Run("pages of the app", func(t *testing.T) {
		stranger := newVisitor(t, w.Site)
		stranger.expect("the home page", stranger.get("/"), http.StatusOK, "", "Hello, stranger.")
		stranger.expect("a path that no file has", stranger.get("/orders/17"), http.StatusNotFound, "", "The app has no such page.")
		stranger.expect("a page behind the front controller", stranger.get("/index.php/login"), http.StatusOK, "", "Log in")
		stranger.expect("our form", stranger.get(surface), http.StatusOK, "", `name="login"`)
	})
	w.stop()
	for line := range strings.Lines(fpm.String()) {
		if phpFault.MatchString(line) || strings.Contains(line, password) {
			t.Errorf("log of PHP: %s", line)
		}
	}
}

// startPHP puts the app of testdata behind PHP-FPM and returns its log.
func startPHP(w *world) *logBuffer {
	w.t.Helper()
	name := "php-fpm"
	if versions, _ := filepath.Glob("/usr/sbin/php-fpm[0-9]*"); len(versions) > 0 {
		name = filepath.Base(versions[len(versions)-1])
	}
	program := need(w.t, name, "php-fpm")
	if modules, err := exec.Command(program, "-m").Output(); err != nil || !strings.Contains(string(modules), "pdo_sqlite") {
		lacks(w.t, "PHP has no SQLite: install the Debian package php-sqlite3")
	}
	app := filepath.Join(w.Home, "app")
	if err := os.CopyFS(app, os.DirFS(filepath.Join("testdata", "php-app"))); err != nil {
		w.t.Fatal(err)
	}
	receiver, err := os.ReadFile(filepath.Join("..", "..", "docs", "receivers", "receiver.php"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("app/receiver.php", receiver)

	args := []string{"--nodaemonize", "--fpm-config", filepath.Join(w.Home, "fpm.conf")}
	owner := ""
	if os.Getuid() == 0 {
		// The world's folder is closed to everybody else.
		args, owner = append(args, "--allow-to-run-as-root"), "user = root\ngroup = root\n"
	}
	w.write("fpm.conf", fmt.Appendf(nil, fpmConfig, w.Home, w.Secret, owner))
	log := new(logBuffer)
	master := exec.Command(program, args...)
	master.Stdout, master.Stderr = log, log
	master.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := master.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		master.Wait()
		close(ended)
	}()
	w.t.Cleanup(func() {
		syscall.Kill(-master.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			w.t.Error("PHP-FPM does not stop")
		}
		syscall.Kill(-master.Process.Pid, syscall.SIGKILL)
		if w.t.Failed() {
			w.t.Logf("log of PHP-FPM:\n%s", log)
		}
	})
	socket := filepath.Join(w.Home, "fpm.sock")
	w.until("PHP-FPM answers", func() bool {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	w.Env["RESET_ROOT"] = filepath.Join(app, "public")
	w.Env["RESET_PHP"] = "unix/" + socket
	return log
}
