package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// mails holds that nothing came more often than a fault explains, or to anybody
// else.
func (s *story) mails() (found []error) {
	letters := s.letters()
	s.mu.Lock()
	most, asked := 1+s.again, s.asked
	s.mu.Unlock()
	before := map[string]int{} // faults before the request, which are none of its
	for _, a := range asked {
		before[a.reference] = a.again
		for _, m := range letters[kindReset][a.reference] {
			if m.To != a.owner.Email {
				found = append(found, fmt.Errorf("a mail to %s came to somebody else", a.owner.Login))
			}
		}
	}
	for reference, mails := range letters[kindReset] {
		if most := most - before[reference]; len(mails) > most {
			found = append(found, fmt.Errorf("the request %s was mailed %d times, with %d faults", reference, len(mails), most-1))
		}
	}
	applied := map[string]map[string]bool{}
	for _, h := range s.that((*handover).applied) {
		if applied[h.reference] == nil {
			applied[h.reference] = map[string]bool{}
		}
		applied[h.reference][h.id] = true
	}
	for reference, mails := range letters[kindChanged] {
		if n := len(applied[reference]); len(mails) > n*most {
			found = append(found, fmt.Errorf("%d changes of %s were noticed %d times, with %d faults", n, reference, len(mails), most-1))
		}
	}
	return found
}

// rest ends the program, which has to leave a sound store without a job.
func (s *story) rest() []error {
	for wait := pollPeers; ; wait *= 2 {
		s.end()
		jobs, err := s.jobs()
		if err != nil {
			return []error{err}
		}
		if jobs == 0 {
			return nil
		}
		if wait > s.patience {
			return []error{fmt.Errorf("%d jobs are left", jobs)}
		}
		if !s.begin() {
			return []error{errors.New("the program does not start again")}
		}
		time.Sleep(wait) // what is left comes due
	}
}

// leaks looks for secrets in what the program has written.
func (s *story) leaks() (found []error) {
	c := &canaries{world: s.world, forms: make(map[string][]string)}
	c.addMails()
	for _, g := range s.proposals() {
		c.add("password", g.password)
	}
	for _, t := range s.secrets {
		c.add("token for a code", t)
	}
	c.add("webhook secret", strings.TrimPrefix(s.Secret, "whsec_"))
	c.add("SMTP password", s.SMTPPass)
	for _, leak := range c.leaks([]byte(s.log.String())) {
		found = append(found, fmt.Errorf("log: %s", leak))
	}
	err := filepath.WalkDir(s.Home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, leak := range c.leaks(content) {
			found = append(found, fmt.Errorf("%s: %s", d.Name(), leak))
		}
		return err
	})
	if err != nil {
		found = append(found, err)
	}
	return found
}

// jobs checks the whole store and counts the jobs in it.
func (s *story) jobs() (n int, err error) {
	ctx := s.t.Context()
	store, err := embeddedstore.Open(ctx, embeddedstore.Options{Path: filepath.Join(s.Home, storeDir, "reset.db")})
	if err != nil {
		return 0, err
	}
	defer store.Close()
	if err := store.Check(ctx); err != nil {
		return 0, err
	}
	err = store.View(ctx, func(r kv.Reader) error {
		rows, err := r.Scan([]byte("j"), []byte("k"), 100) // the table of jobs
		n = len(rows)
		return err
	})
	return n, err
}

// The letters, by a part of their subject.
const (
	kindReset   = "Reset your password"
	kindChanged = "was changed"
	kindRefused = "was not changed"
	kindFailed  = "could not be changed"
)

var referenceLine = regexp.MustCompile(`Reference: (\S+)`)

// letters returns what has come, by kind and reference.
func (s *story) letters() map[string]map[string][]demo.Mail {
	letters := map[string]map[string][]demo.Mail{kindReset: {}, kindChanged: {}, kindRefused: {}, kindFailed: {}}
	for _, m := range s.Inbox.Mails() {
		for kind, of := range letters {
			if reference := referenceLine.FindStringSubmatch(m.Text); strings.Contains(m.Subject, kind) && reference != nil {
				of[reference[1]] = append(of[reference[1]], m)
			}
		}
	}
	return letters
}
