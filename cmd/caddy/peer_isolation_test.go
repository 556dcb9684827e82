package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// phase is how long the app is measured under one fault.
const phase = 4 * time.Second

// A load is how requests of several visitors went.
type load struct {
	took     []time.Duration // sorted
	failures int
}

// quantile returns the time that a share of the requests kept.
func (l load) quantile(share float64) time.Duration {
	if len(l.took) == 0 {
		return math.MaxInt64
	}
	return l.took[min(int(share*float64(len(l.took))), len(l.took)-1)]
}

func (l load) perSecond() float64 { return float64(len(l.took)) / phase.Seconds() }

func (l load) String() string {
	return fmt.Sprintf("%.0f/s p50 %.1f ms p99 %.1f ms", l.perSecond(), milliseconds(l.quantile(0.5)), milliseconds(l.quantile(0.99)))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// A tolerance is how much worse a load may go under a fault.
type tolerance struct {
	rate  float64       // the least share of the requests a second
	tail  float64       // by how much the 99th percentile may grow,
	extra time.Duration // and what it may grow by in any case
}

var (
	// A peer that hangs costs the program no work.
	unmoved = tolerance{rate: 0.5, tail: 3, extra: 20 * time.Millisecond}
	// A flood of our own routes takes processors, of which the flood's own
	// clients have their share.
	crowded = tolerance{rate: 0.05, tail: 20, extra: 250 * time.Millisecond}
)

// judge compares a load under a fault with what it was without.
func (may tolerance) judge(alone, during load) error {
	switch {
	case during.failures > 0:
		return fmt.Errorf("%d requests failed", during.failures)
	case during.perSecond() < may.rate*alone.perSecond():
		return errors.New("too few requests a second")
	case during.quantile(0.99) > time.Duration(may.tail*float64(alone.quantile(0.99)))+may.extra:
		return errors.New("the slowest requests are too slow")
	}
	return nil
}

// pages measures a page for a while, with several visitors.
func (s *peerSite) pages(path, text string) (l load) {
	var mu sync.Mutex
	var visitors sync.WaitGroup
	end := time.Now().Add(phase)
	for range 4 {
		visitors.Go(func() {
			for time.Now().Before(end) {
				begun := time.Now()
				err := s.expect(http.StatusOK, text, path, "")
				took := time.Since(begun)
				mu.Lock()
				l.took = append(l.took, took)
				if err != nil {
					l.failures++
				}
				mu.Unlock()
			}
		})
	}
	visitors.Wait()
	slices.Sort(l.took)
	return l
}

// The app behind Caddy, and another site of ours, are as quick as ever while a
// relay is a tarpit, a target hangs with as many attempts as there may be, or
// the store is stuck; and they go on while our own routes are flooded.
func TestMeasureIsolation(t *testing.T) {
	trial.Alone(t)
	tr := trial.New(t, "the app and other sites, beside peers that misbehave")
	t.Run("peers", func(t *testing.T) { measureBesidePeers(t, tr) })
	t.Run("store", func(t *testing.T) { measureBesideStuckStore(t, tr) })
}

// compare measures the app and our form on a site that nothing is wrong with,
// twice before something goes on and once while it does. What is worse than
// both times before is not the machine's unrest.
func (w *peerWorld) compare(tr *trial.Trial, what string, may tolerance, begin func() (end func())) {
	w.t.Helper()
	pages := []struct{ name, path, text string }{{"the app", demo.LoginPath, "Log in"}, {"our form", "/password-reset", "<form"}}
	measure := func() (loads [2]load) {
		for i, p := range pages {
			loads[i] = w.Sites[0].pages(p.path, p.text)
		}
		return loads
	}
	w.Sites[0].pages(demo.LoginPath, "Log in") // warms up
	tr.Run()
	alone, again := measure(), measure()
	end := begin()
	during := measure()
	end()
	for i, p := range pages {
		tr.Figures(fmt.Sprintf("%s: %s alone %v, again %v, during %v", what, p.name, alone[i], again[i], during[i]))
		if err := may.judge(alone[i], during[i]); err != nil && may.judge(again[i], during[i]) != nil {
			tr.Violation("%s: %s: %v: %v; alone %v, again %v", what, p.name, err, during[i], alone[i], again[i])
		}
	}
}

func measureBesidePeers(t *testing.T, tr *trial.Trial) {
	w := newPeerWorld(t, usualPace, 400)
	good := &tls.Config{Certificates: []tls.Certificate{w.certificate()}}
	tarpit := w.newRelay(relayRow{at: atGreeting, do: hang}, good, tr.Rand(0))
	slow := w.newSite(tarpit.setting(), w.hook(demo.LookupPath), w.hook(demo.ChangedPath))
	hanging := w.newHook((*hookCall).wait, nil, nil)
	patient := strings.Replace(hanging.changeHook(false), hookTimeout.String(), "30s", 1)
	stuck := w.newSite(w.smtp(), w.hook(demo.LookupPath), patient)
	w.begin()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.compare(tr, "relay is a tarpit", unmoved, func() func() {
		for range 60 {
			must(slow.ask(w.person()))
		}
		w.until("the relay is dialled", func() bool { n, _ := tarpit.met(); return n >= 4 })
		must(w.Sites[0].journey())
		return func() { must(w.Sites[0].journey()) }
	})
	w.compare(tr, "target hangs", unmoved, func() func() {
		const attempts = 32
		var logins, tokens []string
		for range attempts {
			login := w.person()
			must(stuck.ask(login))
			logins = append(logins, login)
		}
		for _, login := range logins {
			_, token, err := stuck.mailed(login, 1)
			must(err)
			tokens = append(tokens, token)
		}
		var visitors sync.WaitGroup
		for i, login := range logins {
			visitors.Go(func() {
				if status, text, err := stuck.change(tokens[i], stuck.password(login)); err != nil || status != http.StatusAccepted {
					t.Errorf("the change is answered %d, %v: %s", status, err, text)
				}
			})
		}
		w.until("all attempts are under way", func() bool { n, _ := hanging.met(); return n == attempts })
		must(w.Sites[0].journey())
		return func() { visitors.Wait(); must(w.Sites[0].journey()) }
	})
	w.compare(tr, "our routes are flooded", crowded, func() func() { return stuck.flooded() })
}

// flooded has our routes called without end, until end is called.
func (s *peerSite) flooded() (end func()) {
	done := make(chan struct{})
	var visitors sync.WaitGroup
	for n := range 8 {
		visitors.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				// Refusals are as welcome as answers: it is a flood.
				switch i % 4 {
				case 0:
					_, _, _ = s.call("/password-reset", fmt.Sprintf(`{"login":"nobody-%d-%d"}`, n, i))
				case 1:
					_, _, _ = s.call("/password-reset/link/"+strings.Repeat("A", 64), "")
				case 2:
					_, _, _ = s.call("/password-reset/code", fmt.Sprintf(`{"login":"nobody-%d","code":"12345678"}`, i))
				default:
					_, _, _ = s.call("/password-reset/new", `{"token":"`+strings.Repeat("B", 64)+`","password":"a calm sea at night"}`)
				}
			}
		})
	}
	return func() { close(done); visitors.Wait() }
}

// measureBesideStuckStore delays each sync of the store by far more than an
// answer takes. Alone, nobody asks, and nothing is synced.
func measureBesideStuckStore(t *testing.T, tr *trial.Trial) {
	strace := need(t, "strace", "strace")
	w := newPeerWorld(t, usualPace, 400)
	w.Wrap = []string{
		strace, "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "signal=none",
		"-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=500000",
	}
	w.begin()
	w.compare(tr, "store is stuck", unmoved, func() func() {
		done := make(chan struct{})
		var visitors sync.WaitGroup
		asked := make(chan time.Duration, 1000)
		for range 32 {
			login := w.person()
			visitors.Go(func() {
				for {
					begun := time.Now()
					if status, text, err := w.Sites[0].call("/password-reset", `{"login":"`+login+`"}`); err != nil || status >= 500 && status != http.StatusServiceUnavailable {
						t.Errorf("asking is answered %d, %v: %s", status, err, text)
					}
					select {
					case <-done:
						return
					case asked <- time.Since(begun):
					}
				}
			})
		}
		least := <-asked // the store is at work
		return func() {
			close(done)
			visitors.Wait()
			if least < 400*time.Millisecond {
				t.Errorf("an answer came after %s: the store is not stuck", least)
			}
		}
	})
}

// The judgement finds what it is there for.
func TestIsolationIsJudged(t *testing.T) {
	steady := func(n int, each time.Duration) (l load) {
		for range n {
			l.took = append(l.took, each)
		}
		return l
	}
	alone := steady(8000, 2*time.Millisecond)
	tail := steady(7000, 2*time.Millisecond)
	tail.took = append(tail.took, steady(100, time.Second).took...)
	failing := steady(8000, 2*time.Millisecond)
	failing.failures = 1
	for name, tt := range map[string]struct {
		during load
		want   string
	}{
		"same":    {steady(8000, 2*time.Millisecond), ""},
		"half":    {steady(5000, 3*time.Millisecond), ""},
		"fewer":   {steady(2000, 8*time.Millisecond), "too few"},
		"slower":  {tail, "too slow"},
		"failing": {failing, "failed"},
		"nothing": {load{}, "too few"},
	} {
		err := unmoved.judge(alone, tt.during)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
