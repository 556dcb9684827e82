package caddymodule

import (
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// commitSeconds is told by the embedded store. It is one for all configurations,
// as the meters are.
var commitSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
	Namespace: metricNamespace, Subsystem: metricSubsystem, Name: "store_commit_duration_seconds",
	Help:    "How long the store took to write and sync what was to be kept.",
	Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
})

func commitTook(d time.Duration) { commitSeconds.Observe(d.Seconds()) }

var (
	storeOpen   = gaugeDesc("store_open", "1 if the store is open and can be read, else 0.")
	storeSize   = gaugeDesc("store_size_bytes", "Size of the store, free pages included.")
	queueJobs   = gaugeDesc("queue_jobs", "Mails, changes and notices that wait.", "site", "kind")
	queueOldest = gaugeDesc("queue_oldest_seconds", "For how long the oldest of them has been waiting; 0 if none waits.", "site", "kind")
	relayExpiry = gaugeDesc("relay_certificate_expiry_timestamp_seconds", "When the certificate ends that the mail server of a site has shown last.", "site")
)

func gaugeDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(metricNamespace, metricSubsystem, name), help, labels, nil)
}

// An exhibit shows the metrics of the configuration that runs. Caddy gives the
// admin API to a new configuration before it tries that one: when it is refused,
// it is its registry that is scraped, until the next reload. What that one would
// say of itself is that no store is open, and somebody is woken up.
type exhibit struct{ own *App }

// Describe implements [prometheus.Collector]. It names none: which sites there
// are is known when they are collected.
func (exhibit) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (e exhibit) Collect(ch chan<- prometheus.Metric) {
	app := running()
	if app == nil {
		app = e.own
	}
	app.meters.Range(func(_, m any) bool {
		m.(*meter).collect(ch)
		return true
	})
	commonAlarms.Collect(ch)
	eventsDropped.Collect(ch)
	app.collectGauges(ch)
}

// running returns the app of the configuration that runs, or nil.
func running() *App {
	a, err := caddy.ActiveContext().AppIfConfigured("password_reset")
	if err != nil {
		return nil
	}
	return a.(*App)
}

// collectGauges tells how a configuration stands at this moment.
func (a *App) collectGauges(ch chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for site, expires := range a.certificates() {
		tell(relayExpiry, float64(expires.Unix()), site)
	}
	now, seen := time.Now(), a.inventory.get(a.lookAtStore)
	if !seen.open {
		tell(storeOpen, 0)
		return
	}
	tell(storeOpen, 1)
	if seen.size > 0 {
		tell(storeSize, float64(seen.size))
	}
	for _, q := range seen.queues {
		tell(queueJobs, float64(q.Waiting), q.Site, q.Kind)
		age := 0.0
		if q.Waiting > 0 {
			age = max(0, now.Sub(q.Oldest).Seconds())
		}
		tell(queueOldest, age, q.Site, q.Kind)
	}
}

// certificates returns when those of the mail servers end, by site, as far as
// one was seen.
func (a *App) certificates() map[string]time.Time {
	all := make(map[string]time.Time)
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, s := range a.sites {
		if at := s.mailer.CertificateExpires(); !at.IsZero() {
			all[id] = at
		}
	}
	return all
}

// register shows a collector in the metrics of a configuration.
func register(r prometheus.Registerer, c prometheus.Collector) error {
	err := r.Register(c)
	if _, again := errors.AsType[prometheus.AlreadyRegisteredError](err); again {
		return nil
	}
	return err
}
