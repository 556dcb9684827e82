package caddymodule

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// told counts the events that a subscriber hears of.
type told struct{ n atomic.Int64 }

func (s *told) Handle(context.Context, caddy.Event) error {
	s.n.Add(1)
	return nil
}

// TestNobodyIsToldBeforeTheStart holds that steps wait until the configuration
// has started as a whole, as many as there is room for; before, Caddy's events
// still take subscribers. When it ends, what is left is counted.
func TestNobodyIsToldBeforeTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
		events, subscriber := new(caddyevents.App), new(told)
		if err := events.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		if err := events.On("password_reset_changed", subscriber); err != nil {
			t.Fatal(err)
		}
		a := &announcer{ctx: ctx, end: end, events: events, survive: func(string) {}, queue: make(chan reset.Event, maxWaiting)}
		var live atomic.Bool
		go a.run(live.Load)
		dropped := counted(t, eventsDropped)
		for range maxWaiting + 2 {
			a.offer(reset.Event{Step: reset.StepChanged})
		}
		time.Sleep(time.Minute)
		if n := subscriber.n.Load(); n != 0 {
			t.Errorf("told of %d steps before the start", n)
		}
		if n := counted(t, eventsDropped) - dropped; n != 2 {
			t.Errorf("%g steps were dropped, want 2", n)
		}
		live.Store(true)
		time.Sleep(livePause)
		synctest.Wait()
		if n := subscriber.n.Load(); n != maxWaiting {
			t.Errorf("told of %d steps after the start, want %d", n, maxWaiting)
		}
		end()
		synctest.Wait()
		a.offer(reset.Event{Step: reset.StepChanged})
		if n := counted(t, eventsDropped) - dropped; n != 3 {
			t.Errorf("%g steps were dropped, want 3", n)
		}
	})
}
