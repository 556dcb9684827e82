package caddymodule

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	// eventPrefix begins the names of our events, as words with underscores
	// like those of Caddy's own modules. Subscribers in a Caddyfile can choose
	// by the name only, so it has to say which step it was.
	eventPrefix = "password_reset_"

	// maxWaiting is how many steps may wait for a slow subscriber.
	maxWaiting = 1024

	// livePause is after what time to look again whether a configuration has
	// started as a whole.
	livePause = 20 * time.Millisecond
)

// eventsDropped counts for all configurations, as the meters do.
var eventsDropped = prometheus.NewCounter(prometheus.CounterOpts{
	Namespace: metricNamespace, Subsystem: metricSubsystem, Name: "events_dropped_total",
	Help: "Steps that no subscriber of Caddy's events was told of: they came faster than those take them, or from a configuration that was replaced.",
})

// An announcer hands steps to Caddy's events. Caddy runs the subscribers in the
// goroutine that emits, so here that is one that nobody waits for: a subscriber
// that hangs holds up neither a mail nor a visitor. What it cannot take is
// dropped and counted. Events are for hooks; the audit log is what is complete.
type announcer struct {
	ctx     caddy.Context
	end     context.CancelFunc // of ctx, which ends with the configuration too
	events  *caddyevents.App
	survive func(doing string) // a panic
	queue   chan reset.Event
}

func newAnnouncer(ctx caddy.Context, survive func(doing string)) (*announcer, error) {
	events, err := ctx.App("events")
	if err != nil {
		return nil, fmt.Errorf("getting Caddy's events: %w", err)
	}
	// Caddy keeps the modules that a context belongs to in a slice that contexts
	// made later write over, so that events of ours would name any module as
	// their origin. Those of a new context name none.
	clean, end := caddy.NewContext(ctx)
	return &announcer{ctx: clean, end: end, events: events.(*caddyevents.App), survive: survive, queue: make(chan reset.Event, maxWaiting)}, nil
}

// offer has subscribers told of a step, and does not wait for them.
func (a *announcer) offer(e reset.Event) {
	if a.ctx.Err() == nil {
		select {
		case a.queue <- e:
			return
		default:
		}
	}
	eventsDropped.Inc()
}

// run tells subscribers of steps until the configuration is replaced; then
// Caddy's events take none of it any more. Nobody waits for it to end, as nobody
// can for a subscriber.
func (a *announcer) run(live func() bool) {
	defer a.end()
	defer func() {
		for range len(a.queue) {
			<-a.queue
			eventsDropped.Inc()
		}
	}()
	// Until all apps have started, Caddy's events may still take subscriptions,
	// into a map without a lock.
	for !live() {
		select {
		case <-a.ctx.Done():
			return
		case <-time.After(livePause):
		}
	}
	for {
		select {
		case <-a.ctx.Done():
			return
		case e := <-a.queue:
			if a.ctx.Err() != nil {
				eventsDropped.Inc()
				return
			}
			a.emit(e)
		}
	}
}

func (a *announcer) emit(e reset.Event) {
	defer a.survive("telling a subscriber of an event")
	name := eventPrefix + string(e.Step)
	if !a.events.ShouldEmit(name) {
		return
	}
	a.events.Emit(a.ctx, name, map[string]any{
		"site":      e.Site,
		"reference": e.Reference,
		"step":      string(e.Step),
		"detail":    e.Detail,
		"at":        e.At.UTC().Format(auditTime),
	})
}
