package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// Whatever a mail server does, the mail is retried, ended or the operator
// called, as the protocol has it; nothing crosses in clear, nothing of what the
// server says is logged, and once it is well the mail arrives. Meanwhile other
// sites and the app go on.
func TestTrialRelays(t *testing.T) {
	trial.Beside(t)
	tr := trial.New(t, "mail servers that misbehave")
	tryRelays(t, tr, hurriedPace, tr.Size(1, 4), nil)
}

// tryRelays tries each row some times, all beside each other in one program.
func tryRelays(t *testing.T, tr *trial.Trial, p pace, times int, only func(relayRow) bool) (slowest time.Duration) {
	t.Helper()
	w := newPeerWorld(t, p, 4000)
	certificate := w.certificate()
	good := &tls.Config{Certificates: []tls.Certificate{certificate}}
	rows := slices.Concat(refusals(), silences(), breaks(), w.disguises(certificate))
	var tries []*relayTry
	for n := range times {
		for i, row := range rows {
			if only != nil && !only(row) {
				continue
			}
			r := w.newRelay(row, good, tr.Rand(uint64(n*len(rows)+i)))
			tries = append(tries, &relayTry{relayRow: row, relay: r, site: w.newSite(r.setting(), w.hook(demo.LookupPath), w.hook(demo.ChangedPath))})
		}
	}
	w.trial(tr, func(fail func(format string, args ...any)) {
		tryAll(tr, tries, fail)
		for _, try := range tries {
			_, lasted := try.relay.met()
			slowest = max(slowest, lasted)
		}
	})
	return slowest
}

// setting is how a site names the relay.
func (r *relay) setting() string {
	switch r.row.tls {
	case "":
		return "smtp " + r.Address
	case "implicit":
		return "smtp " + r.Address + " {\n\t\t\ttls implicit\n\t\t}"
	}
	return "smtp " + r.Address + " {\n\t\t\tauth " + r.w.SMTPUser + " {env.RESET_SMTP_PASSWORD}\n\t\t}"
}

// A relayTry is a row on a site of its own.
type relayTry struct {
	relayRow
	relay *relay
	site  *peerSite
	login string
}

// run asks, sees what becomes of the mail, mends the relay and sees the mail
// arrive, unless it was refused for good.
func (r *relayTry) run() error {
	s := r.site
	r.login = s.w.person()
	if err := s.ask(r.login); err != nil {
		return err
	}
	if _, err := s.logged(r.fate, r.cause); err != nil {
		return err
	}
	came := s.w.received(address(r.login))
	if came > 0 && !r.keeps && r.fate != logSent {
		return errors.New("a mail arrived by a relay that has refused it")
	}
	if dialled, _ := r.relay.met(); dialled > 3 {
		return fmt.Errorf("%d connections for the first attempts at one mail", dialled)
	}
	r.relay.mend()
	if r.fate == logEnded {
		other := s.w.person() // it was about that recipient alone
		if err := s.ask(other); err != nil {
			return err
		}
		_, _, err := s.mailed(other, 1)
		return err
	}
	n := came + 1
	if r.fate == logSent {
		n = 1
	}
	mail, token, err := s.mailed(r.login, n)
	if err != nil {
		return err
	}
	if strings.ContainsFunc(string(mail.Raw), func(c rune) bool { return c >= 0x80 }) {
		return errors.New("the mail has 8-bit text, which not every relay takes")
	}
	if r.keeps {
		// Nobody knew whether the first copy had arrived: its link works too.
		_, first, err := s.mailed(r.login, 1)
		if err != nil {
			return err
		}
		if err := s.expect(200, "<form", "/password-reset/link/"+first, ""); err != nil {
			return fmt.Errorf("the link of the first copy: %w", err)
		}
	}
	password := s.password(r.login)
	if status, text, err := s.change(token, password); err != nil || status != 200 {
		return fmt.Errorf("the change is answered %d, %v: %s", status, err, text)
	}
	_, err = s.logged(logChanged, "")
	return err
}

// afterwards holds, once all rows are through, that nothing came that must
// not.
func (r *relayTry) afterwards() error {
	mails := 0
	for _, m := range r.site.w.Inbox.Mails() {
		if _, err := m.Code(); m.To == address(r.login) && err == nil {
			mails++
		}
	}
	least, most := 1, 1
	switch {
	case r.fate == logEnded:
		least, most = 0, 0
	case r.keeps:
		least, most = 2, 4
	}
	if mails < least || mails > most {
		return fmt.Errorf("%d mails came for one request", mails)
	}
	if r.tls != "" {
		if word := r.relay.overheard("MAIL FROM", "AUTH ", r.site.Base, address(r.login)); word != "" {
			return fmt.Errorf("%q crossed in clear", word)
		}
	}
	return nil
}

// A relay that refuses our login is not asked once for each mail that waits:
// it would lock the account. The operator is called once, and all mails go out
// when the login is mended.
func TestTrialRefusedLogin(t *testing.T) {
	trial.Beside(t)
	tr := trial.New(t, "mail server that refuses our login, with mails waiting")
	w := newPeerWorld(t, hurriedPace, 2000)
	good := &tls.Config{Certificates: []tls.Certificate{w.certificate()}}
	r := w.newRelay(relayRow{tls: "starttls", at: atAuth, do: code(535, "5.7.8")}, good, tr.Rand(0))
	s := w.newSite(r.setting(), w.hook(demo.LookupPath), w.hook(demo.ChangedPath))
	w.trial(tr, func(fail func(format string, args ...any)) {
		tr.Run()
		begun := time.Now()
		ask := func() string {
			login := w.person()
			if err := s.ask(login); err != nil {
				fail("%w", err)
			}
			return login
		}
		logins := []string{ask()}
		if _, err := s.logged(logAlarmed, "AUTH: answer 535"); err != nil {
			fail("%w", err)
		}
		for range tr.Size(30, 120) {
			logins = append(logins, ask())
		}
		// After each rest it is tried again, with one mail: how many connections
		// there may be depends on nothing but the time that has passed.
		w.until("the relay is tried again, twice", func() bool { n, _ := r.met(); return n >= 3 })
		if err := w.Sites[0].journey(); err != nil {
			fail("the neighbour: %w", err)
		}
		dialled, _ := r.met()
		most := 2 + int(time.Since(begun)/w.Pace.rest)
		alarms := 0
		for _, l := range w.lines(s.id()) {
			if l.Alarm {
				alarms++
			}
		}
		if dialled > most || alarms != 1 {
			fail("%d connections, not %d, and %d alarms while %d mails waited", dialled, most, alarms, len(logins))
		}
		r.mend()
		for _, login := range logins {
			if _, _, err := s.mailed(login, 1); err != nil {
				fail("%w", err)
			}
		}
		tr.Figures(fmt.Sprintf("%d mails waited, %d connections", len(logins), dialled))
	})
}
