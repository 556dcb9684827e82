package caddymodule

import (
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// An observer tells of all that happens to whom it may concern: the meters, the
// audit log and Caddy's events. It holds no lock that a visitor or a scrape
// waits for.
type observer struct {
	app    *App
	audit  audit
	events *announcer
}

// Step implements [reset.Observer].
func (o observer) Step(e reset.Event) {
	if m, ok := o.app.meters.Load(e.Site); ok {
		m.(*meter).step(e.Step)
	}
	if e.Step == reset.StepMailed {
		e.Detail = "" // what the relay said: foreign text, for a trace only
	}
	o.audit.step(e)
	o.events.offer(e)
}

// Called implements [reset.Observer].
func (o observer) Called(site string, c reset.Call, outcome string, took time.Duration) {
	if m, ok := o.app.meters.Load(site); ok {
		m.(*meter).called(c, outcome, took)
	}
}

// Limited implements [reset.Observer].
func (o observer) Limited(site string, l reset.Limit) {
	if m, ok := o.app.meters.Load(site); ok {
		m.(*meter).limits.WithLabelValues(string(l)).Inc()
	}
}

// observe makes the observer of a configuration and registers what it counts.
func (a *App) observe(ctx caddy.Context) error {
	events, err := newAnnouncer(ctx, a.survive)
	if err != nil {
		return err
	}
	a.observer = observer{app: a, audit: newAudit(ctx), events: events}
	return register(ctx.GetMetricsRegistry(), exhibit{a})
}

// noteCopy tells of a step of the store.
func (a *App) noteCopy(s reset.Step) { a.observer.Step(reset.Event{At: time.Now(), Step: s}) }

// isLive tells whether the configuration has started as a whole.
func (a *App) isLive() bool { return running() == a }

var _ reset.Observer = observer{}
