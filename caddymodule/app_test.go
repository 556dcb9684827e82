package caddymodule_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// TestReload reloads twenty times under load: each request is answered as if
// nothing had happened, the store is open once, and no worker is left behind.
func TestReload(t *testing.T) {
	w := newWorld(t)
	// With a limit the workers would wait for it long after the load.
	w.mustLoad(config{after: "respond app", global: "mails off"})
	w.ask("warm")
	goroutines := runtime.NumGoroutine()
	w.underLoad(func() {
		for i := range 20 {
			w.mustLoad(config{after: "respond app", global: "mails off", options: fmt.Sprintf("name \"Round %d\"", i)})
			if n := openFiles(t, w.path("reset.db")); n != 1 {
				t.Errorf("after reload %d: the store is open %d times", i, n)
			}
		}
	})
	until(t, "goroutines are as many as before", func() bool {
		// Lookups that wait and connections that were kept for the next one are
		// not what a reload might leave behind.
		w.hooks.CloseClientConnections()
		return runtime.NumGoroutine() <= goroutines+40
	})
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "store is closed", func() bool { return openFiles(t, w.path("reset.db")) == 0 })
}

// TestReloadToAnotherStore does so while each reload closes the store that the
// requests before it use.
func TestReloadToAnotherStore(t *testing.T) {
	w := newWorld(t)
	stores := []string{w.path("reset.db"), w.path("other/reset.db")}
	w.mustLoad(config{after: "respond app"})
	w.underLoad(func() {
		for i := range 10 {
			w.mustLoad(config{after: "respond app", store: stores[(i+1)%2]})
		}
	})
	for i, name := range stores {
		until(t, "the store in use is the only open one", func() bool { return openFiles(t, name) == 1-i })
	}
}

// underLoad runs do while 32 clients ask for mails, and wants each of them
// answered as ever.
func (w *world) underLoad(do func()) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	var clients sync.WaitGroup
	var answered atomic.Int64
	for i := range 32 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				status, body, err := askAnyway(w.t.Context(), w.client, fmt.Sprintf(`{"login":"nobody-%d-%d"}`, i, n))
				if err != nil || status != http.StatusAccepted {
					w.t.Errorf("request %d of client %d: %d %s %v", n, i, status, body, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	do()
	stop()
	clients.Wait()
	w.t.Logf("%d requests were answered", answered.Load())
	if answered.Load() < 100 {
		w.t.Error("there was no load")
	}
}

// askAnyway asks for a mail as a browser would: on a reload Caddy closes
// connections that are between two requests, whatever handlers there are, and
// who gets no answer on one tries another.
func askAnyway(ctx context.Context, client *http.Client, body string) (status int, answer []byte, err error) {
	for range 10 {
		var r *http.Request
		r, err = http.NewRequestWithContext(ctx, "POST", "http://app.example.com/password-reset", strings.NewReader(body))
		if err != nil {
			return 0, nil, err
		}
		r.Header.Set("Content-Type", "application/json")
		var resp *http.Response
		if resp, err = client.Do(r); err != nil {
			continue
		}
		answer, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		return resp.StatusCode, answer, err
	}
	return 0, nil, err
}

// TestReloadKeepsMail holds that a mail asked for under one configuration is
// sent under the next.
func TestReloadKeepsMail(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{})
	w.inbox.SetDown(true)
	w.ask("alice")
	w.mustLoad(config{options: "name New"})
	w.inbox.SetDown(false)
	w.mail("alice@example.com", 1)
}

// TestReloadMidChange holds that a new password on its way to the app gets
// there although a reload drops the handler that took it.
func TestReloadMidChange(t *testing.T) {
	w := newWorld(t)
	reached, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	app := w.hooks.Config.Handler
	w.hooks.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hooks/password-changed" {
			once.Do(func() { close(reached) })
			<-proceed
		}
		app.ServeHTTP(rw, r)
	})
	patient := strings.Replace(w.caddyfile(config{}), "/hooks/password-changed", "/hooks/password-changed {\n timeout 30s\n}", 1)
	if err := load(patient); err != nil {
		t.Fatal(err)
	}
	w.ask("alice")
	link, err := w.mail("alice@example.com", 1).Link("https://app.example.com/password-reset")
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan string)
	go func() {
		_, body := w.do("POST", "/password-reset/new", `{"token":"`+link[strings.LastIndexByte(link, '/')+1:]+`","password":"a calm sea at night"}`)
		answer <- body
	}()
	<-reached
	without := patient
	i := strings.Index(without, "\tpassword_reset {\n\t\tbase_url")
	j := strings.Index(without, "reverse_proxy")
	if err := load(without[:i] + without[j:]); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	// Where the reload took long, the person was not kept waiting.
	if got := <-answer; !strings.Contains(got, `"changed"`) && !strings.Contains(got, `"pending"`) {
		t.Errorf("answered %s", got)
	}
	until(t, "the app has the new password", func() bool {
		return slices.ContainsFunc(w.app.Deliveries(), func(d demo.Delivery) bool {
			return d.Type == "password.changed" && d.Status < 300
		})
	})
	w.expect(404, "", "GET", "/password-reset", "")
}

// TestRefusedReload holds that a configuration that does not load leaves the
// running one, and its references to the store, as they were.
func TestRefusedReload(t *testing.T) {
	w := newWorld(t)
	w.overTCP()
	const unlimited = "limits {\n per_ip off\n}\n"
	w.mustLoad(config{options: unlimited})
	tests := []struct {
		name   string
		config config
		want   string
	}{
		{"placeholder", config{options: "name {env.RESET_UNSET}"}, "site https://app.example.com: name:"},
		{"secret", config{options: "webhook_secret {env.RESET_UNSET}"}, "site app.example.com: webhook_secret:"},
		{"secret file", config{options: "webhook_secret {file./nowhere/secret}"}, "webhook_secret:"},
		{"secret with braces", config{options: "webhook_secret hunter{2}"}, "put a secret that has braces"},
		{"key", config{global: "key {env.RESET_UNSET}"}, "key:"},
		{"another key", config{global: "key QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="}, "key"},
		{"blocklist", config{options: "password {\n blocklist /nowhere/words\n}"}, "blocklist: open /nowhere/words"},
		{"templates", config{options: "templates /nowhere"}, "templates: "},
		{"trusted_ca", config{options: "smtp mail.example.com:587 {\n trusted_ca /nowhere/ca.pem\n}"}, "/nowhere/ca.pem"},
		{"accounts", config{options: "# csv"}, ""},
		{"another app", config{more: "http://taken.example.com:1 {\n bind 192.0.2.1\n respond no\n}"}, "192.0.2.1"},
		{"store", config{store: "/proc/nowhere/reset.db"}, "/proc/nowhere"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.options = unlimited + tt.config.options
			caddyfile := w.caddyfile(tt.config)
			if tt.name == "accounts" {
				tt.want = "/nowhere.csv"
				caddyfile = strings.Replace(caddyfile, "directory webhook "+w.hooks.URL+"/hooks/lookup", "directory file /nowhere.csv", 1)
			}
			for range 6 { // apps start in random order
				err := load(caddyfile)
				if err == nil {
					t.Fatal("it was loaded")
				}
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("no %q in: %v", tt.want, err)
				}
				if strings.Contains(err.Error(), "{2}") || strings.Contains(err.Error(), "hunter") {
					t.Errorf("a secret in: %v", err)
				}
				w.ask("nobody")
			}
			if n := openFiles(t, w.path("reset.db")); n != 1 {
				t.Errorf("the store is open %d times", n)
			}
		})
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "store is closed", func() bool { return openFiles(t, w.path("reset.db")) == 0 })
}

// TestTwinsInJSON holds the rule for two blocks of one site where no Caddyfile
// has judged them.
func TestTwinsInJSON(t *testing.T) {
	w := newWorld(t)
	adapted, err := adapt(w.caddyfile(config{}))
	if err != nil {
		t.Fatal(err)
	}
	twins := func(change func(map[string]any)) error {
		var all map[string]any
		if err := json.Unmarshal(adapted, &all); err != nil {
			t.Fatal(err)
		}
		var add func(any)
		add = func(v any) {
			switch v := v.(type) {
			case []any:
				for _, e := range v {
					add(e)
				}
			case map[string]any:
				if handlers, ok := v["handle"].([]any); ok {
					if first := handlers[0].(map[string]any); first["handler"] == "password_reset" {
						twin := make(map[string]any)
						for k, e := range first {
							twin[k] = e
						}
						change(twin)
						v["handle"] = append([]any{twin}, handlers...)
						return
					}
				}
				for _, e := range v {
					add(e)
				}
			}
		}
		add(all)
		changed, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return caddy.Load(changed, true)
	}
	if err := twins(func(map[string]any) {}); err != nil {
		t.Errorf("equal ones: %v", err)
	}
	w.expect(200, "<form", "GET", "/password-reset", "")
	err = twins(func(h map[string]any) { h["name"] = "Other" })
	if err == nil || strings.Count(err.Error(), "app.example.com") < 4 {
		t.Errorf("different ones: %v", err)
	}
	if err := twins(func(h map[string]any) {
		h["name"], h["id"], h["base_url"] = "Other", "other", "https://other.example.com"
	}); err != nil {
		t.Errorf("another site: %v", err)
	}
}

// TestMissingApp holds what JSON without the app is told.
func TestMissingApp(t *testing.T) {
	w := newWorld(t)
	adapted, err := adapt(w.caddyfile(config{}))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(adapted, &all); err != nil {
		t.Fatal(err)
	}
	delete(all["apps"].(map[string]any), "password_reset")
	without, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(without, true); err == nil || !strings.Contains(err.Error(), "smtp mail.example.com:587") {
		t.Errorf("got %v, want what to write", err)
	}
}

// TestValidate holds that a configuration can be judged beside a server that
// runs it, and that judging it makes no file.
func TestValidate(t *testing.T) {
	w := newWorld(t)
	validate := func() error {
		adapted, err := adapt(w.caddyfile(config{}))
		if err != nil {
			t.Fatal(err)
		}
		var c caddy.Config
		if err := json.Unmarshal(adapted, &c); err != nil {
			t.Fatal(err)
		}
		return caddy.Validate(&c)
	}
	if err := validate(); err != nil {
		t.Fatalf("without a server: %v", err)
	}
	for _, name := range []string{"reset.db", "reset.key"} {
		if _, err := os.Stat(w.path(name)); !os.IsNotExist(err) {
			t.Errorf("%s is there", name)
		}
	}
	w.mustLoad(config{})
	if err := validate(); err != nil {
		t.Errorf("beside a server: %v", err)
	}
	w.ask("alice")
	if n := openFiles(t, w.path("reset.db")); n != 1 {
		t.Errorf("the store is open %d times", n)
	}
}
