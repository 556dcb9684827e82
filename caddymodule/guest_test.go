package caddymodule_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

func init() {
	caddy.RegisterModule(new(oneDirectory))
	caddy.RegisterModule(new(recordingTarget))
	caddy.RegisterModule(new(memoryStore))
}

// A oneDirectory knows one person, named in the Caddyfile.
type oneDirectory struct {
	Login string `json:"login"`
}

func (*oneDirectory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "password_reset.directories.one", New: func() caddy.Module { return new(oneDirectory) }}
}

func (o *oneDirectory) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&o.Login) {
		return d.ArgErr()
	}
	return nil
}

func (o *oneDirectory) OpenDirectory(caddymodule.Site) (reset.Directory, error) { return o, nil }

func (o *oneDirectory) Lookup(_ context.Context, login string) ([]reset.Account, error) {
	if login != o.Login {
		return nil, nil
	}
	return []reset.Account{{ID: "1", Login: login, Email: login + "@example.com"}}, nil
}

// A recordingTarget remembers what it was given, in changes.
type recordingTarget struct{}

var changes struct {
	sync.Mutex
	list []reset.Change
}

func (*recordingTarget) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "password_reset.targets.recording", New: func() caddy.Module { return new(recordingTarget) }}
}

func (*recordingTarget) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (r *recordingTarget) OpenTarget(caddymodule.Site) (caddymodule.Target, error) {
	return caddymodule.Target{Target: r}, nil
}

func (*recordingTarget) Apply(_ context.Context, c reset.Change) reset.Attempt {
	changes.Lock()
	defer changes.Unlock()
	changes.list = append(changes.list, c)
	return reset.Attempt{Verdict: reset.Applied}
}

// A memoryStore forgets everything when it is closed, and can be troubled.
type memoryStore struct{}

func (*memoryStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "password_reset.stores.memory", New: func() caddy.Module { return new(memoryStore) }}
}

func (*memoryStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (*memoryStore) StoreKey() string { return "memory" }

func (*memoryStore) OpenStore(context.Context, *slog.Logger) (kv.Store, error) {
	return troubled{kvtest.Memory()}, nil
}

// TestGuests holds that another project can bring a directory, a target and a
// store of its own, and needs no webhook secret then.
func TestGuests(t *testing.T) {
	changes.Lock()
	changes.list = nil
	changes.Unlock()
	w := newWorld(t)
	plain := w.caddyfile(config{})
	i := strings.Index(plain, "directory webhook")
	j := strings.Index(plain, "take_over")
	guests := plain[:i] + "directory one dora\n\t\ttarget recording\n\t\t" + plain[j:]
	guests = strings.Replace(guests, "store bbolt "+w.path("reset.db"), "store memory", 1)

	if err := load(guests); err == nil || !strings.Contains(err.Error(), "needs a key") {
		t.Errorf("without a key: %v", err)
	}
	keyed := strings.Replace(guests, "store memory", "store memory\n\t\tkey QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", 1)
	if err := load(keyed); err != nil {
		t.Fatal(err)
	}
	w.ask("dora")
	link, err := w.mail("dora@example.com", 1).Link("https://app.example.com/password-reset")
	if err != nil {
		t.Fatal(err)
	}
	w.expect(http.StatusOK, "changed", "POST", "/password-reset/new", `{"token":"`+link[strings.LastIndexByte(link, '/')+1:]+`","password":"a calm sea at night"}`)
	changes.Lock()
	defer changes.Unlock()
	if len(changes.list) != 1 || changes.list[0].Account.Login != "dora" {
		t.Errorf("the target got %d changes", len(changes.list))
	}
}
