package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// Twenty reloads under load lose no answer and no mail, and the store is open
// once. A configuration that does not load changes nothing.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	const reloads, connections = 20, 32
	w := newWorld(t)
	w.employ(people(reloads), nil)
	w.start()

	var over atomic.Bool
	var answers atomic.Int64
	var visitors sync.WaitGroup
	for i := range connections {
		visitors.Go(func() {
			for n := i; !over.Load(); n++ {
				tt := steady[n%len(steady)]
				r, err := w.try(tt.method, tt.target, tt.body, from(n)...)
				if errors.Is(err, errUnanswered) {
					// A reload of Caddy, whatever handlers there are, drops
					// connections that it has not read from yet. Clients that
					// get no byte of an answer try again.
					continue
				}
				if err != nil || r.Status != tt.status {
					t.Errorf("%s %s: %d %v", tt.method, tt.target, r.Status, err)
					return
				}
				answers.Add(1)
			}
		})
	}
	broken := w.write("broken", []byte(strings.ReplaceAll(w.caddyfile(), "env.RESET_WEBHOOK_SECRET", "env.UNSET")))
	for i := range reloads {
		for {
			r, err := w.try("POST", "/password-reset", fmt.Sprintf(`{"login":"person-%d"}`, i), from(i)...)
			if errors.Is(err, errUnanswered) {
				continue // as above: the earlier configuration may be closing still
			}
			if err != nil || r.Status != http.StatusAccepted {
				t.Fatalf("person-%d asks: %d %v", i, r.Status, err)
			}
			break
		}
		before := answers.Load()
		config := w.Caddyfile
		if i%5 == 4 {
			config = broken
		}
		out, err := w.caddy("reload", "--force", "--config", config, "--adapter", "caddyfile")
		if (err != nil) != (config == broken) {
			t.Fatalf("reload %d: %v\n%s", i, err, out)
		}
		if n := w.openStores(); n != 1 {
			t.Errorf("after reload %d the store is open %d times", i, n)
		}
		w.until("visitors are served again", func() bool { return answers.Load() > before || t.Failed() })
	}
	if out, err := w.caddy("validate", "--config", w.Caddyfile, "--adapter", "caddyfile"); err != nil {
		t.Errorf("validating beside the program: %v\n%s", err, out)
	}
	over.Store(true)
	visitors.Wait()
	t.Logf("%d answers", answers.Load())
	for i := range reloads {
		w.mail(fmt.Sprintf("person-%d@example.com", i), 1)
	}
	w.stop()
	for i := range reloads {
		if got := w.received(fmt.Sprintf("person-%d@example.com", i)); got != 1 {
			t.Errorf("person-%d got %d mails", i, got)
		}
	}
	w.checkStore()
}

// steady are requests whose answers a reload must not change.
var steady = []struct {
	method, target, body string
	status               int
}{
	{"GET", "/password-reset", "", http.StatusOK},
	{"GET", "/", "", http.StatusOK}, // the app
	{"GET", "/password-reset/policy", "", http.StatusOK},
	{"GET", "/password-reset/link/none", "", http.StatusGone},
	{"GET", "/forgot-password", "", http.StatusFound},
	{"POST", "/password-reset/new", `{"token":"none","password":"` + newPassword + `"}`, http.StatusGone},
}

// A change that is on its way when the operator stops the program gets its
// answer first.
func TestStopWaitsForAChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reached, proceed := make(chan struct{}), make(chan struct{})
	w.employ(people(1), func(app http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hooks/password-changed" {
				close(reached)
				<-proceed
			}
			app.ServeHTTP(rw, r)
		})
	})
	w.start()
	w.ask("person-0")
	token := w.token(w.mail("person-0@example.com", 1))
	var visitor sync.WaitGroup
	visitor.Go(func() {
		r, err := w.try("POST", "/password-reset/new", `{"token":"`+token+`","password":"`+newPassword+`"}`)
		if err != nil || !strings.Contains(r.Body, `"changed"`) {
			t.Errorf("the change was answered %d %s %v", r.Status, r.Body, err)
		}
	})
	<-reached
	if err := syscall.Kill(w.process.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.until("the program is on its way out", func() bool { return strings.Contains(w.log.String(), "shutting down apps") })
	close(proceed)
	visitor.Wait()
	<-w.exited
	if code := w.process.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	w.checkStore()
}

// openStores counts the program's descriptors of the store.
func (w *world) openStores() (n int) {
	w.t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", w.process.Process.Pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.t.Skipf("no /proc: %v", err)
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && filepath.Base(to) == "reset.db" {
			n++
		}
	}
	return n
}
