package reset

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// locate finds the record that a token's grant is listed in, in any
// transaction. It returns ErrGrant for a grant that is not known.
func (s *Site) locate(tx getter, t token, now time.Time) (key []byte, r *record, g *grant, err error) {
	var row grantRow
	if err := getRow(tx, grantKey(t.grant), &row); err != nil {
		return nil, nil, nil, err
	}
	if len(row.Account) == 0 {
		return nil, nil, nil, ErrGrant
	}
	if r, err = s.svc.loadRecord(tx, row.Account, now); err != nil {
		return nil, nil, nil, err
	}
	// The sites of a store share its table of grants. A token of one that
	// opened a record for another would set the password of whoever has the same
	// account id in that site's app.
	if !bytes.Equal(row.Account, s.accountKey(r.Account.ID)) {
		return nil, nil, nil, ErrGrant
	}
	if g = r.grant(t.grant); g == nil || r.Decoy {
		return nil, nil, nil, ErrGrant
	}
	return row.Account, r, g, nil
}

// open is locate for a token that must open its grant now.
func (s *Site) open(tx getter, t token, now time.Time) (key []byte, r *record, g *grant, until time.Time, err error) {
	key, r, g, err = s.locate(tx, t, now)
	if err != nil {
		return nil, nil, nil, time.Time{}, err
	}
	// Another process's clock may be ahead of ours: expiry is judged early.
	until, ok := g.opens(t, now.Add(s.svc.skew))
	if !ok {
		if !r.claims(*g) || !t.matches(g.Link) {
			return nil, nil, nil, time.Time{}, ErrGrant
		}
		until = now // its change is still under way: the outcome may be asked for
	}
	return key, r, g, until, nil
}

// view runs fn on a snapshot and keeps the store's faults from the public.
func (s *Site) view(ctx context.Context, doing string, fn func(kv.Reader) error) error {
	err := s.svc.store.View(ctx, fn)
	if err == nil || errors.Is(err, ErrGrant) {
		return err
	}
	if ctx.Err() != nil {
		return ErrUnavailable // the visitor has gone; nothing is wrong here
	}
	return s.unavailable(doing, err)
}

// Look tells what the page for a new password has to show. It writes nothing,
// so that mail scanners and previews may open the link as often as they like.
//
// It returns [ErrGrant] for whatever does not open anything, a [*LimitError],
// or [ErrUnavailable].
func (s *Site) Look(ctx context.Context, tokenText string, client netip.Addr) (Grant, error) {
	if err := s.limit(limitOpen, client, false); err != nil {
		return Grant{}, err
	}
	t, err := parseToken(tokenText)
	if err != nil {
		return Grant{}, err
	}
	var look Grant
	var reference string
	now := time.Now()
	err = s.view(ctx, "opening a link", func(tx kv.Reader) error {
		_, r, g, until, err := s.open(tx, t, now)
		if err != nil {
			return err
		}
		reference = g.Reference
		look = Grant{
			MaskedLogin: mask(r.Account.Login), Login: r.Account.Login,
			Expires: until, Claimed: r.claims(*g),
		}
		return nil
	})
	if err == nil && s.svc.shared.openings.add(t.grant, now) {
		s.observe(now, reference, StepOpened, byLink)
	}
	return look, err
}

// LookCancel reports whether a token of a "this wasn't me" link still ends
// anything. It writes nothing and returns what Look returns.
func (s *Site) LookCancel(ctx context.Context, tokenText string, client netip.Addr) error {
	if err := s.limit(limitOpen, client, false); err != nil {
		return err
	}
	t, err := parseToken(tokenText)
	if err != nil {
		return err
	}
	return s.view(ctx, "opening a link", func(tx kv.Reader) error {
		_, _, g, err := s.locate(tx, t, time.Now())
		if err == nil && !t.matches(g.Cancel) {
			err = ErrGrant
		}
		return err
	})
}

// Cancel ends the grant that a "this wasn't me" link belongs to, and drops a
// change that was made with it and is not applied yet. An attempt that is in
// flight at this moment may still reach the app.
//
// It returns what Look returns.
func (s *Site) Cancel(ctx context.Context, tokenText string, client netip.Addr) error {
	if err := s.limit(limitChange, client, false); err != nil {
		return err
	}
	t, err := parseToken(tokenText)
	if err != nil {
		return err
	}
	now := time.Now()
	var reference string
	var lost bool // an older change that was promised to take effect
	notice := s.newNotice(LetterFailed, Account{}, "", now)
	err = s.update(ctx, func(tx kv.Tx) error {
		lost = false
		key, r, g, err := s.locate(tx, t, now)
		if err != nil {
			return err
		}
		if !t.matches(g.Cancel) {
			return ErrGrant
		}
		reference = g.Reference
		if r.Change != nil && r.Change.ID == g.Change {
			if lost = r.Change.Replaced; lost {
				notice.Reference, notice.To = g.Reference, &r.Account
				if err := s.addJob(tx, jobNotice, notice, now); err != nil {
					return err
				}
			}
			r.Change = nil // its job finds nothing and ends
		}
		r.drop(t.grant)
		r.tell(reference, StepCancelled, now, "")
		return r.put(tx, key, now)
	})
	if errors.Is(err, ErrGrant) {
		return err
	}
	if err != nil {
		return s.unavailable("cancelling a grant", err)
	}
	if lost {
		s.added(jobNotice)
	}
	s.observe(now, reference, StepCancelled, "")
	s.log.Warn("the owner of an account says that a reset was not theirs", "reference", reference)
	return nil
}
