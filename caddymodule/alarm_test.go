package caddymodule

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

// TestAlarmsAreCounted holds what is an alarm, and whose.
func TestAlarmsAreCounted(t *testing.T) {
	var b bytes.Buffer
	a, m := new(App), newMeter("shop.example.com")
	a.meters.Store("shop.example.com", m)
	log := a.counting(slog.New(slog.NewTextHandler(&b, nil)))
	common := counted(t, commonAlarms)

	log.Error("of a site", "site", "shop.example.com", "alarm", true)
	log.With("site", "shop.example.com").With("more", 1).Error("of a site's own log", "alarm", true)
	log.WithGroup("g").Error("of nobody", "alarm", true)
	log.Error("of a site that is configured no more", "site", "gone.example.com", "alarm", true)
	log.Error("of nobody, for a site's word", "alarm", true, "site", "")
	log.Error("no alarm", "site", "shop.example.com")
	log.Error("no alarm", "site", "shop.example.com", "alarm", "true")
	log.Warn("no alarm", "site", "shop.example.com")
	if got := counted(t, m.alarms); got != 2 {
		t.Errorf("%g alarms of the site, want 2", got)
	}
	if got := counted(t, commonAlarms) - common; got != 3 {
		t.Errorf("%g other alarms, want 3", got)
	}
	if n := strings.Count(b.String(), "\n"); n != 8 {
		t.Errorf("%d lines, want 8:\n%s", n, b.String())
	}

	// Left out of the log, it is counted all the same.
	b.Reset()
	quiet := a.counting(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelError + 1})))
	quiet.Error("of a site", "site", "shop.example.com", "alarm", true)
	if got := counted(t, m.alarms); got != 3 || b.Len() > 0 {
		t.Errorf("%g alarms of the site, want 3, and %q in the log", got, b.String())
	}
}
