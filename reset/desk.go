package reset

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// Send mails link and code to the account of a login for the help desk, past the
// limits of login, account and address; it counts towards them. Nobody but the
// account's owner gets to see link or code. It returns the reference, by which
// [Site.Trace] tells what became of it: like [Site.Request] it answers before
// anything is looked up.
//
// It returns [ErrLogin] or [ErrUnavailable].
func (s *Site) Send(ctx context.Context, login string) (reference string, err error) {
	if login, err = cleanLogin(login); err != nil {
		return "", err
	}
	release, err := s.svc.hold()
	if err != nil {
		return "", err
	}
	defer release()
	return s.enqueue(ctx, Request{Login: login}, nil, true)
}

// A Revocation is what an operator has ended.
type Revocation struct {
	Mails   int // that waited, or had not been looked up yet
	Links   int // grants: link and code of a mail
	Changes int // new passwords that the app did not have yet

	// Unasked is why the directory could not be asked which accounts there are;
	// what was known without it is ended.
	Unasked error
}

// Revoke ends all that was asked for with a login, and all that the accounts of
// that login hold: mails that wait are not sent, links and codes open nothing, and
// a new password that the app does not have yet is dropped; its owner is told. An
// attempt that is in flight at this moment may still reach the app. Codes that too
// much guessing has switched off are on again with the next mail.
//
// The directory is asked as well, since an account may have been asked for by
// another name. It returns [ErrLogin].
func (s *Site) Revoke(ctx context.Context, login string) (Revocation, error) {
	var done Revocation
	login, err := cleanLogin(login)
	if err != nil {
		return done, err
	}
	release, err := s.svc.hold()
	if err != nil {
		return done, err
	}
	defer release()
	lookup, cancel := context.WithTimeout(ctx, lookupTimeout)
	accounts, err := s.consult(lookup, login)
	cancel()
	if err != nil {
		accounts, done.Unasked = nil, err
	}

	var keys [][]byte
	err = s.svc.store.View(ctx, func(tx kv.Reader) (err error) {
		keys, err = s.recordsOf(tx, login)
		return err
	})
	if err != nil {
		return done, err
	}
	for _, a := range accounts {
		if key := s.accountKey(a.ID); !containsKey(keys, key) {
			keys = append(keys, key)
		}
	}
	// The mails first: one that goes out meanwhile lists its grant before.
	if done.Mails, err = s.revokeMails(ctx, login, keys); err != nil {
		return done, err
	}
	ended := make(map[id]bool)
	for _, key := range keys {
		links, change, err := s.revokeRecord(ctx, key)
		if err != nil {
			return done, err
		}
		done.Links += links
		if !change.isZero() {
			ended[change] = true
		}
	}
	done.Changes = len(ended)
	return done, s.dropEnded(ctx, ended)
}

// dropEnded removes the jobs of changes that have ended. They would end by
// themselves, but perhaps hours later, and an operator would see them wait until
// then. One that is being tried is left to its attempt, which may still be applied.
func (s *Site) dropEnded(ctx context.Context, ended map[id]bool) error {
	var found []*heldJob
	err := s.eachRow(ctx, jobChange, func(row kv.Pair) bool {
		if h, err := readJob(jobChange, row); err == nil && ended[h.Change] && h.Holder == "" && !h.isBusy(s) {
			found = append(found, h)
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, h := range found {
		if err := s.finish(ctx, h, nil); err != nil && !errors.Is(err, errStale) {
			return err
		}
	}
	return nil
}

// errMoving says that mails of a login went out while it was revoked.
var errMoving = errors.New("mails for this login were on their way just now; revoke again")

// revokeMails drops the mails of a login that wait, and those that were tried
// meanwhile: one that is put off would mint again.
func (s *Site) revokeMails(ctx context.Context, login string, keys [][]byte) (n int, err error) {
	gone := make(map[string]bool) // rows that a scan has shown and that were not there
	for range 5 {
		before := len(gone)
		dropped, err := s.dropMails(ctx, login, keys, gone)
		n += dropped
		if err != nil || len(gone) == before {
			return n, err
		}
	}
	return n, errMoving
}

func (s *Site) dropMails(ctx context.Context, login string, keys [][]byte, gone map[string]bool) (n int, err error) {
	var found []*heldJob
	err = s.eachRow(ctx, jobMail, func(row kv.Pair) bool {
		h, err := readJob(jobMail, row)
		if err == nil && !gone[string(row.Key)] && (Fold(h.Login) == Fold(login) || containsKey(keys, h.Account)) {
			found = append(found, h)
		}
		return true
	})
	if err != nil {
		return 0, err
	}
	for _, h := range found {
		switch err := s.dropMail(ctx, h); {
		case err == nil:
			n++
		case errors.Is(err, errStale):
			gone[string(h.key)] = true
		default:
			return n, err
		}
	}
	return n, nil
}

func (s *Site) revokeRecord(ctx context.Context, key []byte) (links int, change id, err error) {
	now := time.Now()
	revocation := newID(now)
	notice := s.newNotice(LetterFailed, Account{}, "", now)
	var ended []string
	err = s.persist(ctx, func(tx kv.Tx) error {
		b, err := tx.Get(key)
		if err != nil || b == nil {
			return err
		}
		r, err := s.svc.loadRecord(tx, key, now)
		if err != nil {
			return err
		}
		if r.Revoked == revocation {
			return nil // an earlier try, answered with "unknown", had been stored
		}
		links, change, ended = 0, id{}, nil
		if c := r.Change; c != nil {
			notice.Reference, notice.To, notice.Created = c.Reference, &r.Account, c.At
			if err := s.addJob(tx, jobNotice, notice, now); err != nil {
				return err
			}
			r.Change, change = nil, c.ID
			ended = append(ended, c.Reference)
			r.tell(c.Reference, StepRevoked, now, byOperator)
		}
		for _, g := range r.Grants {
			if r.Decoy || !g.Change.isZero() {
				continue
			}
			links++
			ended = append(ended, g.Reference)
			r.tell(g.Reference, StepRevoked, now, byOperator)
		}
		r.Epoch++
		r.Grants, r.Revoked = nil, revocation
		r.Consecutive, r.Today, r.Day = 0, 0, 0
		return r.put(tx, key, now)
	})
	if err != nil {
		return 0, id{}, err
	}
	if !change.isZero() {
		s.added(jobNotice)
	}
	for _, reference := range ended {
		s.observe(now, reference, StepRevoked, byOperator)
	}
	return links, change, nil
}
