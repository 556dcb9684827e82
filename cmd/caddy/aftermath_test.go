package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// bystanders sees to it that others are served while act lasts: the pages of
// both sites, the mail of the other site, and a person of this one, who gets an
// answer.
func (f *flood) bystanders(act func()) {
	f.t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var slowest time.Duration
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			r, err := f.try("GET", "/", "")
			slowest = max(slowest, time.Since(began))
			if err != nil || r.Status != http.StatusOK || r.Body != "the app" {
				f.trial.Violation("the app is answered %d %v in a flood", r.Status, err)
			}
			r, err = f.try("POST", surface, `{"login":"somebody"}`, f.visitor()...)
			if err != nil || r.Status != http.StatusAccepted && r.Status != http.StatusServiceUnavailable {
				f.trial.Violation("a person is answered %d %v in a flood", r.Status, err)
			}
		}
	})
	wg.Go(func() { f.served(f.other) })
	act()
	close(stop)
	wg.Wait()
	f.rates = append(f.rates, fmt.Sprintf("slowest page of the app %d ms", slowest.Milliseconds()))
}

// served asks at a site for somebody whom no flood asks for until it is
// accepted, and waits for the mail.
func (f *flood) served(site string) {
	f.t.Helper()
	login := f.Known[len(f.Known)-int(f.reserve.Add(1))]
	k, err := f.keepalive(site)
	if err != nil {
		f.t.Error(err)
		return
	}
	defer k.close()
	f.patiently("somebody's request is accepted at "+site, func() bool {
		got, err := k.send(jsonAsk(login).wire(site, f.visitor()...))
		if err != nil {
			f.t.Error(err)
		}
		return err != nil || got.Status == http.StatusAccepted
	})
	f.patiently("the mail comes from "+site, func() bool { return f.Relay.to(login) > 0 || f.t.Failed() })
}

// recovered holds that a flood leaves nothing behind: a request is accepted and
// mailed, and what was taken is given back.
func (f *flood) recovered() {
	f.t.Helper()
	f.served(f.Site)
	idle := f.gauge.idle
	var now reading
	f.patiently("descriptors and goroutines are as many as before", func() bool {
		now = f.read()
		return now.Descriptors <= idle.Descriptors+8 && now.Goroutines <= idle.Goroutines+40
	})
}

// swept holds that what has expired is gone, so that the next flood finds the
// room that the last one took: a file of bbolt does not shrink. What stays are
// the accounts that had a mail, for the day in which it counts.
func (f *flood) swept() {
	f.t.Helper()
	last, since := f.storeFile().ModTime(), time.Now()
	f.patiently("the sweeper has nothing to do", func() bool {
		if now := f.storeFile().ModTime(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 3*time.Second // longer than anything lives here
	})
	f.stop()
	s, err := embeddedstore.Open(f.t.Context(), embeddedstore.Options{Path: filepath.Join(f.Home, storeDir, "reset.db")})
	if err != nil {
		f.t.Fatal(err)
	}
	defer s.Close()
	rows := 0
	err = s.View(f.t.Context(), func(r kv.Reader) error {
		for from := []byte{0}; ; {
			found, err := r.Scan(from, nil, 500)
			if err != nil || len(found) == 0 {
				return err
			}
			rows += len(found)
			from = append(found[len(found)-1].Key, 0)
		}
	})
	if err != nil {
		f.t.Fatal(err)
	}
	// Of an account stays its record and, for each mail of the day, the time at
	// which the record might be forgotten. Here it has about a mail a minute, and
	// some more since its links live for a second.
	mails := min(1+int(time.Since(f.begun)/time.Minute), 10)
	if most := (3 + 2*mails) * floodAccounts; rows > most {
		f.trial.Violation("%d rows are left when all has expired, more than %d", rows, most)
	}
	f.t.Logf("%d requests accepted, %d rows left", f.accepted.Load(), rows)
}

// patiently waits as long as a full queue may take.
func (f *flood) patiently(what string, done func() bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Minute)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); !done(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Errorf("waited in vain: %s", what)
			return
		}
	}
}
