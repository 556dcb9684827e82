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

// Whatever an app does when it is to take a new password, the person reads what
// is true, the password goes nowhere else, and what is not final is handed over
// again, the same message under the same id, until it is applied once.
func TestTrialHooks(t *testing.T) {
	trial.Beside(t)
	tr := trial.New(t, "apps that misbehave when they take a password")
	tryHooks(t, tr, hurriedPace, tr.Size(1, 4), nil)
}

// tryHooks tries each row some times, all beside each other in one program.
func tryHooks(t *testing.T, tr *trial.Trial, p pace, times int, only func(hookRow) bool) (slowest time.Duration) {
	t.Helper()
	w := newPeerWorld(t, p, 4000)
	certificate := w.certificate()
	good := &tls.Config{Certificates: []tls.Certificate{certificate}}
	decoy := w.newHook(nil, nil, nil)
	rows := slices.Concat(silentApps(), refusingApps(), lyingApps(decoy.Address), w.disguisedApps(certificate))
	var tries []*hookTry
	for range times {
		for _, row := range rows {
			if only != nil && !only(row) {
				continue
			}
			try := &hookTry{hookRow: row}
			if secure := row.bad != nil; secure {
				try.hook = w.newHook(row.do, good, row.bad)
				try.site = w.newSite(w.smtp(), w.hook(demo.LookupPath), try.hook.changeHook(true))
			} else {
				try.hook = w.newHook(row.do, nil, nil)
				try.site = w.newSite(w.smtp(), w.hook(demo.LookupPath), try.hook.changeHook(false))
			}
			tries = append(tries, try)
		}
	}
	w.trial(tr, func(fail func(format string, args ...any)) {
		tryAll(tr, tries, fail)
		for _, try := range tries {
			_, lasted := try.hook.met()
			slowest = max(slowest, lasted, try.waited)
		}
		if dialled, _ := decoy.met(); dialled != 0 {
			fail("a redirect was followed %d times", dialled)
		}
	})
	return slowest
}

// A hookTry is a row on a site of its own.
type hookTry struct {
	hookRow
	hook  *hook
	site  *peerSite
	login string

	waited time.Duration // until the person had an answer
}

// run submits a new password, sees what the person reads and what the log
// says, mends the hook and sees the change arrive, unless the answer was final.
func (h *hookTry) run() error {
	s := h.site
	h.login = s.w.person()
	if err := s.ask(h.login); err != nil {
		return err
	}
	_, token, err := s.mailed(h.login, 1)
	if err != nil {
		return err
	}
	password := s.password(h.login)
	begun := time.Now()
	status, text, err := s.change(token, password)
	h.waited = time.Since(begun)
	if err != nil {
		return err
	}
	if status != h.status || !strings.Contains(text, h.text) {
		return fmt.Errorf("the person reads %d, not %d with %q: %.300s", status, h.status, h.text, text)
	}
	line, err := s.logged(h.fate, h.cause)
	if err != nil {
		return err
	}
	h.hook.mend()
	switch {
	case h.fate == logGone || h.fate == logSuperseded:
		return s.dead(token)
	case h.fate == logRefused:
		// The same link takes another password.
		password = s.w.hide("a password", password+", again")
		if status, text, err := s.change(token, password); err != nil || status != 200 {
			return fmt.Errorf("after the refusal, another password is answered %d, %v: %s", status, err, text)
		}
	case h.again == againMost:
		if line.AgainIn != againMost {
			return fmt.Errorf("it is tried again in %s", line.AgainIn)
		}
		return nil // too late to wait for
	case h.again != againSoon && line.AgainIn != h.again:
		return fmt.Errorf("it is tried again in %s, not in %s", line.AgainIn, h.again)
	}
	return s.changed(h.login, token, password, 2)
}

// afterwards holds, once all rows are through, that one message was delivered,
// and no more after a final answer.
func (h *hookTry) afterwards() error {
	dialled, _ := h.hook.met()
	ids, bodies := h.hook.messages()
	switch {
	case h.fate == logRefused:
		if ids != 2 || bodies != 2 || dialled != 2 {
			return fmt.Errorf("%d ids and %d bodies on %d connections for two changes", ids, bodies, dialled)
		}
		return nil
	case h.fate == logChanged, h.fate == logGone, h.fate == logSuperseded, h.again == againMost:
		if dialled != 1 {
			return fmt.Errorf("%d connections for an answer that was final, or asked for time", dialled)
		}
	case dialled > 4:
		return fmt.Errorf("%d connections for one change", dialled)
	}
	if ids > 1 || bodies > 1 {
		return fmt.Errorf("one change came as %d ids and %d bodies", ids, bodies)
	}
	mails := h.site.w.received(address(h.login))
	final := h.fate == logGone || h.fate == logSuperseded || h.again == againMost
	if final && mails != 1 || !final && mails != 2 {
		return errors.New("a notice is missing, or one too many")
	}
	return nil
}
