package caddymodule_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A Caddy without this module answers 404 as any server does. The command must not
// take that for an empty list, and must say what is wrong.
func TestCommandAtAnotherCaddy(t *testing.T) {
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	out, err := caddyCommand(t, t.TempDir(), "password-reset", "jobs", "--address", strings.TrimPrefix(stranger.URL, "http://")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "is the Caddy that runs there built with this module?") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Whoever answers at the address writes nothing to the terminal but plain text.
func TestCommandPrintsPlainText(t *testing.T) {
	const escape = `\u001b[2J\u009b31m\u202e`
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/password_reset/jobs":
			fmt.Fprintf(w, `{"jobs": [{"id": "x%s", "site": "a%[1]s", "kind": "mail%[1]s", "reference": "r%[1]s", "cause": "c%[1]s"}]}`, escape)
		case "/password_reset/trace":
			fmt.Fprintf(w, `{"site": "a", "requests": [{"reference": "r%s", "steps": [{"step": "asked%[1]s", "detail": "d%[1]s"}]}]}`, escape)
		case "/password_reset/check":
			fmt.Fprintf(w, `{"site": "a%s", "step": "s%[1]s", "seen": "x%[1]s", "problem": "p%[1]s", "cure": "c%[1]s"}`, escape)
		case "/password_reset/send":
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error": "e%s"}`, escape)
		}
		fmt.Fprint(w, `{}`)
	}))
	defer stranger.Close()
	address := strings.TrimPrefix(stranger.URL, "http://")
	for _, args := range [][]string{{"jobs"}, {"trace", "alice"}, {"check"}, {"send", "alice"}} {
		args = append(append([]string{"password-reset"}, args...), "--address", address)
		out, err := caddyCommand(t, t.TempDir(), args...).CombinedOutput()
		if strings.ContainsAny(string(out), "\x1b\u009b\u202e") {
			t.Errorf("%s prints %q", args, out)
		}
		if len(out) == 0 {
			t.Errorf("%s prints nothing: %v", args, err)
		}
	}
}

// Nor does it put words into the line that the operator runs next.
func TestCompletionOffersPlainWords(t *testing.T) {
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"sites": ["app.example.com", "$(id)", "a;id", "-x"], "jobs": [{"id": "AZqkXb8yQ1uJt3mVfP0cLw"}, {"id": "`+"`id`"+`"}]}`)
	}))
	defer stranger.Close()
	address := strings.TrimPrefix(stranger.URL, "http://")
	for last, want := range map[string]string{"--site": "app.example.com\n", "show": "AZqkXb8yQ1uJt3mVfP0cLw\n"} {
		args := []string{"__complete", "password-reset", "jobs", "list", "--address", address, last, ""}
		if last == "show" {
			args = []string{"__complete", "password-reset", "jobs", "show", "--address", address, ""}
		}
		out, err := caddyCommand(t, t.TempDir(), args...).Output()
		if offers, _, _ := strings.Cut(string(out), ":"); err != nil || offers != want {
			t.Errorf("%s offers %q, %v; want %q", last, offers, err, want)
		}
	}
}

// An answer without end is refused.
func TestCommandReadsNoEndlessAnswer(t *testing.T) {
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/password_reset/status" {
			fmt.Fprint(w, `{}`)
			return
		}
		fmt.Fprint(w, `{"jobs": [`)
		line := strings.Repeat(`{"site": "app.example.com"},`, 1<<10)
		for {
			if _, err := fmt.Fprint(w, line); err != nil {
				return
			}
		}
	}))
	defer stranger.Close()
	out, err := caddyCommand(t, t.TempDir(), "password-reset", "jobs", "--address", strings.TrimPrefix(stranger.URL, "http://")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the answer of "+strings.TrimPrefix(stranger.URL, "http://")+": it is longer than 32 MiB") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Who interrupts an export finds no half of a copy.
func TestExportInterrupted(t *testing.T) {
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/password_reset/export" {
			fmt.Fprint(w, strings.Repeat("x", 1<<16))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, `{}`)
	}))
	defer stranger.Close()
	dir, home := t.TempDir(), t.TempDir()
	cmd := caddyCommand(t, home, "password-reset", "export", filepath.Join(dir, "reset.db"), "--address", strings.TrimPrefix(stranger.URL, "http://"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the first part of the copy", func() bool {
		entries, _ := os.ReadDir(dir)
		return len(entries) == 1
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("an interrupted export ends well")
	}
	if entries, err := os.ReadDir(dir); len(entries) != 0 || err != nil {
		t.Errorf("it leaves %v, %v", entries, err)
	}
}
