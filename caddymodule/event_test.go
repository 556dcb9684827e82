package caddymodule_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() { caddy.RegisterModule(subscriber{}) }

// A subscriber is an event handler that keeps what it is told of us, after it has
// done what hearing.handle says.
type subscriber struct{}

var hearing struct {
	sync.Mutex
	events []caddy.Event
	handle func()
}

func (subscriber) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.subscriber", New: func() caddy.Module { return new(subscriber) }}
}

func (*subscriber) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (subscriber) Handle(_ context.Context, e caddy.Event) error {
	if !strings.HasPrefix(e.Name(), "password_reset_") {
		return nil // Caddy's own, for which it waits
	}
	hearing.Lock()
	handle := hearing.handle
	hearing.Unlock()
	if handle != nil {
		handle()
	}
	hearing.Lock()
	defer hearing.Unlock()
	hearing.events = append(hearing.events, e)
	return nil
}

// listen forgets what was heard before, and has subscribers do this first.
func listen(t *testing.T, handle func()) {
	set := func(handle func()) {
		hearing.Lock()
		defer hearing.Unlock()
		hearing.events, hearing.handle = nil, handle
	}
	set(handle)
	t.Cleanup(func() { set(nil) })
}

func heard() []caddy.Event {
	hearing.Lock()
	defer hearing.Unlock()
	return slices.Clone(hearing.events)
}

// TestEvents holds what subscribers are told: each step by its own name, from
// requests and workers alike, in order.
func TestEvents(t *testing.T) {
	w := newWatched(t)
	listen(t, nil)
	w.mustLoad(config{top: `events {
		on password_reset_changed subscriber
		on password_reset_mailed subscriber
		on password_reset_delayed subscriber
	}`})
	w.journey()
	until(t, "subscribers were told", func() bool { return len(heard()) == 5 })
	var names []string
	for _, e := range heard() {
		names = append(names, e.Name())
		if e.Origin() != nil {
			t.Errorf("an event from %s", e.Origin().CaddyModule().ID)
		}
		if got := slices.Sorted(maps.Keys(e.Data)); !slices.Equal(got, []string{"at", "detail", "reference", "site", "step"}) {
			t.Errorf("an event with %v", got)
		}
		site, reference := e.Data["site"], e.Data["reference"].(string)
		if e.Name() != "password_reset_"+e.Data["step"].(string) || len(reference) != 9 || site != w.site && site != w.broken {
			t.Errorf("%s with %v", e.Name(), e.Data)
		}
		if e.Name() == "password_reset_mailed" && e.Data["detail"] != "" {
			t.Errorf("the words of a relay are told: %v", e.Data)
		}
	}
	slices.Sort(names)
	const want = "password_reset_changed password_reset_delayed password_reset_mailed password_reset_mailed password_reset_mailed"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("told of %s", got)
	}
}

// TestSlowSubscriber holds that one that hangs, or panics, holds up nobody: mails
// leave, passwords are changed, a reload goes through, and what was not told is
// counted.
func TestSlowSubscriber(t *testing.T) {
	w := newWatched(t)
	end := make(chan struct{})
	listen(t, func() { <-end })
	before := config{top: "events {\n on * subscriber\n}", global: "mails off"}
	w.mustLoad(before)
	w.journey()
	dropped := series(t, w.scrape())["events_dropped_total"]
	w.mustLoad(config{options: "name Another", top: before.top, global: "mails off"})
	w.ask("erin")
	close(end)
	until(t, "what waited was given up and counted", func() bool {
		return series(t, w.scrape())["events_dropped_total"]-dropped >= 20
	})
	until(t, "the new configuration tells", func() bool { return len(heard()) > 0 })

	listen(t, func() { panic("a subscriber") })
	w.ask("frank")
	until(t, "the panic is an alarm", func() bool { return len(w.logged("panic while telling a subscriber of an event")) >= 1 })
	listen(t, nil)
	w.ask("grace")
	until(t, "others are told", func() bool { return len(heard()) > 0 })
}
