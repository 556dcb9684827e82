package caddymodule_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// TestRequestHoldsStore holds that a request which a reload finds half done can
// finish: the last one out closes the store.
func TestRequestHoldsStore(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{})
	ctx := caddy.ActiveContext()
	app, err := ctx.AppIfConfigured("password_reset")
	if err != nil {
		t.Fatal(err)
	}
	site, release, err := caddymodule.Open(app.(*caddymodule.App), t.Context(), "app.example.com")
	if err != nil {
		t.Fatal(err)
	}
	w.mustLoad(config{store: w.path("other.db")})
	if _, err := site.Request(t.Context(), reset.Request{Login: "alice"}); err != nil {
		t.Errorf("after the reload: %v", err)
	}
	release()
	until(t, "the old store is closed", func() bool { return openFiles(t, w.path("reset.db")) == 0 })

	// Caddy lets requests run on with the old configuration: it opens what it
	// needs for each of them.
	site, release, err = caddymodule.Open(app.(*caddymodule.App), t.Context(), "app.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := site.Request(t.Context(), reset.Request{Login: "alice"}); err != nil {
		t.Errorf("with a store of its own: %v", err)
	}
	release()
	until(t, "it is closed again", func() bool { return openFiles(t, w.path("reset.db")) == 0 })
}

// TestStoreInUse holds that a start beside another process on the same store
// does not keep the site from being served, and that password resets begin
// once the store is free.
func TestStoreInUse(t *testing.T) {
	w := newWorld(t)
	held, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: w.path("reset.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { held.Close() })
	w.mustLoad(config{after: "respond app"})
	w.expect(200, "app", "GET", "/any", "")
	resp, _ := w.do("POST", "/password-reset", `{"login":"alice"}`)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %d with Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	w.expect(503, "", "GET", "/forgot-password", "")
	lines := w.logged("store does not open")
	if len(lines) != 1 || !strings.Contains(fmt.Sprint(lines[0]["error"]), w.path("reset.db")) {
		t.Errorf("logged %v", lines)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "store opens", func() bool { return len(w.logged("store has opened")) == 1 })
	w.ask("alice")
	info, err := os.Stat(w.path("reset.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info, err)
	}
}

// TestKeyRotation holds that a newer key takes over on a reload, that the older
// one may go after it, and that a mail asked for before is sent after a restart.
func TestKeyRotation(t *testing.T) {
	const first, second = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
	w := newWorld(t)
	w.overTCP()
	w.mustLoad(config{options: "limits {\n per_ip off\n}", global: "key " + first})
	w.inbox.SetDown(true)
	w.ask("alice")
	if err := load(w.caddyfile(config{options: "limits {\n per_ip off\n}", global: "key " + second})); err == nil {
		t.Error("a key that does not fit was taken")
	}
	w.mustLoad(config{options: "limits {\n per_ip off\n}", global: "key " + second + "\nkey " + first})
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "store is closed", func() bool { return openFiles(t, w.path("reset.db")) == 0 })
	w.inbox.SetDown(false)
	w.mustLoad(config{options: "limits {\n per_ip off\n}", global: "key " + second})
	w.mail("alice@example.com", 1)
	if _, err := os.Stat(w.path("reset.key")); !os.IsNotExist(err) {
		t.Error("a key file was made although a key is configured")
	}
}
