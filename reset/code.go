package reset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// guessesAnHour is how many wrong codes one site sees before the operator is
// told: who tries one code with each of many logins meets no other counter.
const guessesAnHour = 500

const codeDigits = 8

// How a grant was opened.
const (
	byCode = "by code"
	byLink = "by link"
)

// maxCompared bounds the accounts that one guess is compared with.
const maxCompared = 8

// A guess is one code entry under way.
type guess struct {
	site   *Site
	login  string
	code   string
	now    time.Time
	second token // its verifier answers a right code

	found     id // outcome: the grant that the code opens
	reference string
	matches   int
}

// Code checks a code that was typed with its login and answers with a token
// for the same grant, living as long as the code would have. It consumes
// nothing.
//
// Every guess that is compared with a live code is counted against the
// account, in the transaction that compares; where there is none to compare
// with, as much is written for a decoy. It returns [ErrLogin], [ErrCode], a
// [*LimitError] or [ErrUnavailable].
func (s *Site) Code(ctx context.Context, e CodeEntry) (tokenText string, err error) {
	login, err := cleanLogin(e.Login)
	if err != nil {
		return "", err
	}
	if err := s.limit(limitCode, e.ClientIP, e.Trusted); err != nil {
		return "", err
	}
	code, ok := parseCode(e.Code)
	if !ok {
		return "", ErrCode
	}
	now := time.Now()
	if !s.svc.clockIsSane(now) {
		return "", ErrUnavailable
	}
	g := &guess{site: s, login: login, code: code, now: now}
	g.second = newToken(id{})
	err = s.update(ctx, g.compare)
	switch {
	case err != nil && !errors.Is(err, ErrCode):
		return "", s.unavailable("checking a code", err)
	case g.matches != 1:
		if s.svc.shared.guesses.count(s.config.ID, now) >= guessesAnHour {
			s.svc.alarm(s.config.ID, "codes are being guessed over many logins; each account is protected by its own counters", nil)
		}
		return "", ErrCode
	}
	g.second.grant = g.found
	if s.svc.shared.openings.add(g.found, now) {
		s.observe(now, g.reference, StepOpened, byCode)
	}
	return g.second.String(), nil
}

// compare runs in one transaction: it finds the live codes of the login,
// compares the guess with each, and counts it.
func (g *guess) compare(tx kv.Tx) error {
	g.found, g.matches = id{}, 0
	var row loginRow
	if err := getRow(tx, g.site.loginKey(g.login), &row); err != nil {
		return err
	}
	keys, records, err := g.load(tx, row)
	if err != nil {
		return err
	}
	compared := make([]bool, len(records))
	var hit *grant
	for n, r := range records {
		if r.codesOff() {
			continue
		}
		for i := range r.Grants {
			if !r.Grants[i].hasCode(g.now.Add(g.site.svc.skew)) {
				continue
			}
			compared[n] = true
			if equalHash(r.Grants[i].Code, g.site.codeHash(r.Grants[i].ID, g.code)) && !r.Decoy {
				hit = &r.Grants[i]
				g.matches++
			}
		}
	}
	wrote := false
	for n, r := range records {
		if !compared[n] {
			continue
		}
		// Two matches are a failure: which account was meant is not known.
		if g.matches == 1 {
			if r.grant(hit.ID) == hit {
				g.found, g.reference = hit.ID, hit.Reference
				hit.addSecond(g.second)
				if !r.wasTold(hit.Reference, StepOpened) {
					r.tell(hit.Reference, StepOpened, g.now, byCode)
				}
			}
		} else {
			r.guessed(g.now)
		}
		if err := r.putListed(tx, keys[n], g.now); err != nil {
			return err
		}
		wrote = true
	}
	if !wrote {
		return g.writeDecoy(tx)
	}
	return nil
}

// load reads the records that the live codes of a login belong to.
func (g *guess) load(tx kv.Tx, row loginRow) (keys [][]byte, records []*record, err error) {
	for n := len(row.Live) - 1; n >= 0 && len(keys) < maxCompared; n-- {
		l := row.Live[n]
		if l.Expires <= g.now.UnixMilli() || containsKey(keys, l.Account) {
			continue
		}
		r, err := g.site.svc.loadRecord(tx, l.Account, g.now)
		if err != nil {
			return nil, nil, err
		}
		keys, records = append(keys, l.Account), append(records, r)
	}
	return keys, records, nil
}

// writeDecoy does the work of a failed guess where there is nothing to guess
// at. Logins share 256 records for it: one each would let guesses for ever new
// logins fill the disk, which no limit by address stops if they come from many.
func (g *guess) writeDecoy(tx kv.Tx) error {
	key := g.site.guessKey(g.login)
	r, err := g.site.svc.loadRecord(tx, key, g.now)
	if err != nil {
		return err
	}
	r.Decoy = true
	return r.putListed(tx, key, g.now)
}

// newCode returns eight uniform decimal digits.
func newCode() string {
	return fmt.Sprintf("%0*d", codeDigits, randomBelow(100_000_000))
}

// parseCode takes a code as a person may type it from "1234 5678": ASCII
// spaces and hyphens are ignored. Anything else than eight ASCII digits is
// not a code; it is never compared loosely.
func parseCode(s string) (string, bool) {
	if len(s) > 64 {
		return "", false
	}
	s = strings.NewReplacer(" ", "", "-", "").Replace(s)
	if len(s) != codeDigits {
		return "", false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return "", false
		}
	}
	return s, true
}

func containsKey(keys [][]byte, key []byte) bool {
	for _, k := range keys {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}
