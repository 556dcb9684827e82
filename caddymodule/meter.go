package caddymodule

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// The names of all our metrics begin with these.
const (
	metricNamespace = "caddy"
	metricSubsystem = "password_reset"
)

// The labels are closed sets: sites are configured, all else are words of ours.
// An address, a login or a reference in a label would be kept for ever by
// whoever scrapes, and each new one would cost memory here (CWE-770).
var (
	lookupOutcomes   = []string{"found", "unknown", "failed"}
	mailOutcomes     = []string{"sent", "unknown", "not_sent", "rejected", "misconfigured", "unwanted", "unreachable"}
	deliveryOutcomes = []string{"applied", "retry", "refused", "gone", "superseded"}
	calls            = []string{string(reset.CallLookup), string(reset.CallMail), string(reset.CallNotice), string(reset.CallChange)}
	lostOutcomes     = []string{string(reset.StepRejected), string(reset.StepExpired)}
	changeOutcomes   = []string{
		string(reset.StepChanged), string(reset.StepRefused), string(reset.StepGone),
		string(reset.StepSuperseded), string(reset.StepFailed), string(reset.StepReplaced),
	}
	limits = []string{
		string(reset.LimitAsk), string(reset.LimitOpen), string(reset.LimitCode), string(reset.LimitChange), string(reset.LimitFind),
		string(reset.LimitLogin), string(reset.LimitAccount), string(reset.LimitQueue),
	}
)

// mailCalls are the calls that hand over a mail.
var mailCalls = []reset.Call{reset.CallMail, reset.CallNotice}

// callBuckets reach from a hook on this machine to a relay that lets one wait.
var callBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// A meter counts what happens on one site. All its series are there from the
// first scrape: rate() does not see the step from no series to one.
type meter struct {
	requests, grants, opened, cancelled, revoked, accepted, alarms prometheus.Counter

	lost, lookups, mails, deliveries, changes, limits *prometheus.CounterVec

	durations *prometheus.HistogramVec
}

// meters are those of all sites that this process has had, by their ids. Caddy
// makes a new registry for each configuration; these outlive it, so that a
// reload sets no counter back, and one that is refused changes none. What a
// configuration shows are those of its sites.
var meters struct {
	sync.Mutex
	bySite map[string]*meter
}

// meterOf returns the meter of a site.
func meterOf(site string) *meter {
	meters.Lock()
	defer meters.Unlock()
	m := meters.bySite[site]
	if m == nil {
		if meters.bySite == nil {
			meters.bySite = make(map[string]*meter)
		}
		m = newMeter(site)
		meters.bySite[site] = m
	}
	return m
}

func newMeter(site string) *meter {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{
			Namespace: metricNamespace, Subsystem: metricSubsystem, Name: name, Help: help,
			ConstLabels: prometheus.Labels{"site": site},
		}
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(opts(name, help)))
	}
	vector := func(name, help, label string, values []string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), []string{label})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	m := &meter{
		requests:   counter("requests_total", "Requests for a mail that were accepted."),
		lost:       vector("requests_lost_total", "Requests that ended without a mail though one was due: the relay refused it for good, or its hour was over.", "outcome", lostOutcomes),
		lookups:    vector("lookups_total", "Look-ups of a login in the directory.", "outcome", lookupOutcomes),
		grants:     counter("grants_total", "Grants: links and codes that were made for accounts."),
		opened:     counter("grants_opened_total", "Grants whose link or code has opened the page for the new password; a mail scanner may have been the first to look."),
		cancelled:  counter("grants_cancelled_total", "Grants that their owners ended because they had not asked."),
		revoked:    counter("grants_revoked_total", "Grants that the operator ended."),
		accepted:   counter("changes_accepted_total", "New passwords that were stored here, to be handed to the app."),
		changes:    vector("changes_total", "What became of the new passwords.", "outcome", changeOutcomes),
		deliveries: vector("deliveries_total", "Attempts to hand a new password to the app.", "outcome", deliveryOutcomes),
		limits:     vector("limits_hit_total", "Times that somebody met a limit.", "limit", limits),
		alarms:     newAlarmCounter(site),
	}
	m.mails = prometheus.NewCounterVec(prometheus.CounterOpts(opts("mails_total", "Attempts to hand a mail to the relay.")), []string{"kind", "outcome"})
	for _, kind := range mailCalls {
		for _, outcome := range mailOutcomes {
			m.mails.WithLabelValues(string(kind), outcome)
		}
	}
	o := opts("call_duration_seconds", "How long directory, relay and app took to answer.")
	m.durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: o.Namespace, Subsystem: o.Subsystem, Name: o.Name, Help: o.Help, ConstLabels: o.ConstLabels, Buckets: callBuckets,
	}, []string{"call"})
	for _, call := range calls {
		m.durations.WithLabelValues(call)
	}
	return m
}

// collect shows what was counted.
func (m *meter) collect(ch chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{
		m.requests, m.lost, m.lookups, m.grants, m.opened, m.cancelled, m.revoked, m.accepted,
		m.mails, m.changes, m.deliveries, m.limits, m.durations, m.alarms,
	} {
		c.Collect(ch)
	}
}

// step counts a change of state. What a call or a limit counts is not counted
// here once more.
func (m *meter) step(s reset.Step) {
	switch s {
	case reset.StepAsked:
		m.requests.Inc()
	case reset.StepFound:
		m.grants.Inc()
	case reset.StepRejected, reset.StepExpired:
		m.lost.WithLabelValues(string(s)).Inc()
	case reset.StepOpened:
		m.opened.Inc()
	case reset.StepAccepted:
		m.accepted.Inc()
	case reset.StepChanged, reset.StepRefused, reset.StepGone, reset.StepSuperseded, reset.StepFailed, reset.StepReplaced:
		m.changes.WithLabelValues(string(s)).Inc()
	case reset.StepCancelled:
		m.cancelled.Inc()
	case reset.StepRevoked:
		m.revoked.Inc()
	}
}

// called counts a call and how long it took.
func (m *meter) called(c reset.Call, outcome string, took time.Duration) {
	switch c {
	case reset.CallLookup:
		m.lookups.WithLabelValues(outcome).Inc()
	case reset.CallMail, reset.CallNotice:
		m.mails.WithLabelValues(string(c), outcome).Inc()
	case reset.CallChange:
		m.deliveries.WithLabelValues(outcome).Inc()
	}
	m.durations.WithLabelValues(string(c)).Observe(took.Seconds())
}
