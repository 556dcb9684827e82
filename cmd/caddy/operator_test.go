package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// talkative makes the program say all it can: every logger at DEBUG, the
// access log, a trace of the handlers, metrics. Limits are off.
func (w *world) talkative() {
	w.t.Helper()
	w.unlimited()
	w.amend(
		"\tgrace_period 30s\n", "\tgrace_period 30s\n\tdebug\n\tmetrics {\n\t\tper_host\n\t}\n",
		"\tservers {\n", "\tservers {\n\t\ttrace\n",
		"\tpassword_reset {\n\t\tsmtp", "\tpassword_reset {\n\t\tkey {env.RESET_KEY}\n\t\tsmtp",
		"\trespond /hooks/*", "\tlog {\n\t\toutput file "+filepath.Join(w.Home, "access.log")+"\n\t\tlevel DEBUG\n\t}\n\trespond /hooks/*",
	)
}

// caddy runs another command of the program, beside the one that runs.
func (w *world) caddy(args ...string) ([]byte, error) {
	if args[0] == "reload" {
		args = append(args, "--address", "unix/"+filepath.Join(w.Home, "admin.sock"))
	}
	c := exec.CommandContext(w.t.Context(), w.Binary, args...)
	c.Env = w.environment()
	return c.CombinedOutput()
}

// admin reads from the admin API.
func (w *world) admin(path string) []byte {
	w.t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.Home, "admin.sock"))
		},
	}}
	r, err := client.Get("http://localhost" + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		w.t.Errorf("%s: %d %v", path, r.StatusCode, err)
	}
	return b
}

// ailingHooks are how the hooks answer in place of the app, if a status is set.
type ailingHooks struct{ answer atomic.Pointer[hookAnswer] }

type hookAnswer struct {
	status int
	body   string
}

func (m *ailingHooks) set(status int, body string) { m.answer.Store(&hookAnswer{status, body}) }

func (m *ailingHooks) wrap(app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := m.answer.Load()
		if a == nil || a.status == 0 || !strings.HasPrefix(r.URL.Path, "/hooks/") {
			app.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(a.body, "{") {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	})
}
