package caddymodule_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMetricsAfterJourney holds each value that an operator sees, those of a
// reload too: it sets no counter back, and takes along the sites that it removes.
func TestMetricsAfterJourney(t *testing.T) {
	w := newWatched(t)
	w.mustLoad(config{})
	begun := series(t, w.scrape())
	for name, value := range begun {
		if strings.Contains(name, w.site) && value != 0 {
			t.Errorf("%s is %g before anything happened", name, value)
		}
	}
	w.journey()
	got := series(t, w.scrape())

	want := make(map[string]float64)
	set := func(site, name, labels string, value float64) {
		if labels != "" {
			labels += ","
		}
		want[fmt.Sprintf("%s{%ssite=%q}", name, labels, site)] = value
	}
	for name, value := range map[string]float64{
		"requests_total": 8, "grants_total": 4, "grants_opened_total": 2, "grants_cancelled_total": 1, "changes_accepted_total": 2,
	} {
		set(w.site, name, "", value)
	}
	set(w.site, "lookups_total", `outcome="found"`, 4)
	set(w.site, "lookups_total", `outcome="unknown"`, 3)
	set(w.site, "mails_total", `kind="mail",outcome="sent"`, 3)
	set(w.site, "mails_total", `kind="mail",outcome="rejected"`, 1)
	set(w.site, "mails_total", `kind="notice",outcome="sent"`, 1)
	set(w.site, "requests_lost_total", `outcome="rejected"`, 1)
	set(w.site, "changes_total", `outcome="changed"`, 1)
	set(w.site, "changes_total", `outcome="refused"`, 1)
	set(w.site, "deliveries_total", `outcome="applied"`, 1)
	set(w.site, "deliveries_total", `outcome="refused"`, 1)
	set(w.site, "limits_hit_total", `limit="ask"`, 1)
	set(w.site, "limits_hit_total", `limit="login"`, 1)
	for call, n := range map[string]float64{"lookup": 7, "mail": 4, "notice": 1, "change": 2} {
		set(w.site, "call_duration_seconds_count", fmt.Sprintf("call=%q", call), n)
		// No call takes a minute, and each has taken some time.
		want[fmt.Sprintf(`call_duration_seconds_bucket{call=%q,site=%q,le="+Inf"}`, call, w.site)] = n
		if sum := got[fmt.Sprintf("call_duration_seconds_sum{call=%q,site=%q}", call, w.site)]; sum <= 0 || sum > 60 {
			t.Errorf("%g calls %s took %g s", n, call, sum)
		}
	}
	set(w.broken, "requests_total", "", 1)
	set(w.broken, "lookups_total", `outcome="failed"`, 1)
	set(w.broken, "alarms_total", "", 1)
	set(w.broken, "queue_jobs", `kind="mail"`, 1)
	set(w.broken, "call_duration_seconds_count", `call="lookup"`, 1)
	want["store_open"] = 1
	for name, value := range got {
		switch {
		case want[name] != 0 || value == 0:
		case strings.HasPrefix(name, "call_duration_seconds_"), strings.HasPrefix(name, "relay_certificate_expiry_timestamp_seconds{"):
		case strings.HasPrefix(name, "store_"), strings.HasPrefix(name, `alarms_total{site=""}`), name == "events_dropped_total":
			// Of the whole process.
		case name == fmt.Sprintf(`queue_oldest_seconds{kind="mail",site=%q}`, w.broken):
			if value > 600 {
				t.Errorf("%s is %g", name, value)
			}
		case strings.Contains(name, w.site), strings.Contains(name, w.broken):
			t.Errorf("%s is %g, want 0", name, value)
		default:
			t.Errorf("%s: a series of no site of ours", name)
		}
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %g, want %g", name, got[name], value)
		}
	}
	expiry := got[fmt.Sprintf("relay_certificate_expiry_timestamp_seconds{site=%q}", w.site)]
	if expiry != float64(w.certificate.NotAfter.Unix()) {
		t.Errorf("the certificate of the relay ends at %g, want %s", expiry, w.certificate.NotAfter)
	}
	info, err := os.Stat(w.path("reset.db"))
	if err != nil {
		t.Fatal(err)
	}
	if got["store_size_bytes"] != float64(info.Size()) {
		t.Errorf("store_size_bytes is %g, and the file has %d", got["store_size_bytes"], info.Size())
	}
	if n := got["store_commit_duration_seconds_count"] - begun["store_commit_duration_seconds_count"]; n < 20 {
		t.Errorf("%g commits were counted", n)
	}

	t.Run("reload", func(t *testing.T) {
		w.mustLoad(config{options: `name "Another name"`})
		again := series(t, w.scrape())
		counters := func(s map[string]float64) map[string]float64 {
			s = maps.Clone(s)
			maps.DeleteFunc(s, func(name string, _ float64) bool {
				return strings.HasPrefix(name, "store_") || strings.HasPrefix(name, "queue_oldest") || strings.HasPrefix(name, "events_") ||
					strings.HasPrefix(name, "relay_") || strings.Contains(name, w.broken)
			})
			return s
		}
		if diff := cmp.Diff(counters(got), counters(again)); diff != "" {
			t.Errorf("a reload changed (-before +after):\n%s", diff)
		}
	})
	t.Run("refused reload", func(t *testing.T) {
		refused := strings.Replace(w.caddyfile(config{}), "id "+w.broken, "id other-"+w.broken, 1)
		refused = strings.Replace(refused, "directory webhook", "directory file /nowhere/at/all #", 1)
		if err := load(refused); err == nil {
			t.Fatal("a configuration that is wrong was loaded")
		}
		if s := w.scrape(); strings.Contains(s, "other-") || !strings.Contains(s, w.site) {
			t.Error("a configuration that was refused shows in the metrics")
		}
	})
	t.Run("removed site", func(t *testing.T) {
		text := w.caddyfile(config{})
		if err := load(text[:strings.Index(text, "http://broken.example.com")]); err != nil {
			t.Fatal(err)
		}
		s := w.scrape()
		if strings.Contains(s, w.broken) {
			t.Error("a site that was removed shows in the metrics")
		}
		if !strings.Contains(s, w.site) {
			t.Error("the other one is gone, too")
		}
	})
}

// TestMetricsWithoutStore holds what is shown while the store does not open:
// that, and the counters.
func TestMetricsWithoutStore(t *testing.T) {
	w := newWatched(t)
	w.file("reset.db", "no store")
	w.mustLoad(config{})
	w.expect(503, "", "GET", "/password-reset", "")
	s := series(t, w.scrape())
	if open, ok := s["store_open"]; !ok || open != 0 {
		t.Errorf("store_open is %g (%v)", open, ok)
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if strings.HasPrefix(name, "queue_") || strings.HasPrefix(name, "store_size") {
			t.Errorf("%s of a store that is not open", name)
		}
	}
	if s[`alarms_total{site=""}`] == 0 {
		t.Error("the alarm is not counted")
	}
	if _, ok := s[fmt.Sprintf("requests_total{site=%q}", w.site)]; !ok {
		t.Error("the counters are gone")
	}
}
