package caddymodule

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

func newAlarmCounter(site string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: metricNamespace, Subsystem: metricSubsystem, Name: "alarms_total",
		Help:        `Lines in the log with "alarm":true, by site; without one they concern the store, or all.`,
		ConstLabels: prometheus.Labels{"site": site},
	})
}

// commonAlarms counts the alarms that are of no site.
var commonAlarms = newAlarmCounter("")

// An alarmCounter is a log that counts its alarms, those of each site apart. It
// does so also where an operator has the lines themselves left out.
type alarmCounter struct {
	slog.Handler
	counter func(site string) prometheus.Counter
	site    string
}

// counting returns log such that its alarms are counted.
func (a *App) counting(log *slog.Logger) *slog.Logger {
	return slog.New(alarmCounter{Handler: log.Handler(), counter: a.alarms})
}

// alarms returns the counter for the alarms of a site. A site that is not
// configured, or no more, has none of its own: of which there may be any number.
func (a *App) alarms(site string) prometheus.Counter {
	if m, ok := a.meters.Load(site); ok {
		return m.(*meter).alarms
	}
	return commonAlarms
}

func (h alarmCounter) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || h.Handler.Enabled(ctx, level)
}

func (h alarmCounter) Handle(ctx context.Context, r slog.Record) error {
	site, alarm := h.site, false
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "alarm":
			alarm = a.Value.Kind() == slog.KindBool && a.Value.Bool()
		case "site":
			site = a.Value.String()
		}
		return true
	})
	if alarm {
		h.counter(site).Inc()
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h alarmCounter) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if a.Key == "site" {
			h.site = a.Value.String()
		}
	}
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

func (h alarmCounter) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}
