package reset

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// plainFormat is the format of a password as it was typed.
const plainFormat = "plain"

// errClaimed says that a change stands on the grant already.
var errClaimed = errors.New("grant is claimed")

// Change sets a new password: it claims the grant, journals the change and
// hands it to the app at once. It waits about five seconds for the app and
// then answers [StatusPending]; the change goes on, also if ctx ends.
//
// A token whose change is under way, or was applied some seconds ago, gets that
// change's outcome for the same password, and [ErrGrant] for another one, never
// a second change. It returns a [*LimitError], ErrGrant before the password is
// looked at, a [*PasswordError] or [ErrUnavailable]; after any of them the grant
// is as it was, but for ErrUnavailable, after which the change may have been
// stored: then the same token answers with its outcome.
func (s *Site) Change(ctx context.Context, n NewPassword) (Result, error) {
	if err := s.limit(limitChange, n.ClientIP, n.Trusted); err != nil {
		return Result{}, err
	}
	t, err := parseToken(n.Token)
	if err != nil {
		return Result{}, err
	}
	account, claimed, err := s.first(ctx, t)
	if errors.Is(err, ErrGrant) && s.svc.shared.receipts.has(s.newReceipt(t, n.Password), time.Now()) {
		return Result{Status: StatusChanged}, nil
	}
	if err != nil {
		return Result{}, err
	}
	if claimed != nil {
		return s.outcome(ctx, *claimed, n.Password)
	}
	about := []string{account.Login, account.Email, account.Name}
	if reasons := s.config.Passwords.Check(n.Password, about); len(reasons) > 0 {
		return Result{}, &PasswordError{Reasons: reasons}
	}
	if !s.svc.clockIsSane(time.Now()) {
		return Result{}, ErrUnavailable
	}
	if s.full(jobChange) {
		s.svc.observer.Limited(s.config.ID, LimitQueue)
		s.svc.alarm(s.config.ID, "too many changes wait for the app; new ones are refused until it is back", nil)
		return Result{}, ErrUnavailable
	}
	format, password := plainFormat, n.Password
	if s.config.Hasher != nil {
		format = s.config.Hasher.Format()
		if password, err = s.config.Hasher.Hash(n.Password); err != nil {
			s.svc.alarm(s.config.ID, "hashing a password failed", err)
			return Result{}, ErrUnavailable
		}
	}
	return s.accept(ctx, t, n.Password, format, password)
}

// first looks at the grant before anything is spent on the password. It
// returns the change that has claimed the grant, if any.
func (s *Site) first(ctx context.Context, t token) (account Account, claimed *change, err error) {
	err = s.view(ctx, "reading a grant", func(tx kv.Reader) error {
		_, r, g, _, err := s.open(tx, t, time.Now())
		if err != nil {
			return err
		}
		account, claimed = r.Account, r.claimant(*g)
		return nil
	})
	return account, claimed, err
}

// accept journals the change and makes the first attempt.
func (s *Site) accept(ctx context.Context, t token, typed, format, password string) (Result, error) {
	release, err := s.svc.hold()
	if err != nil {
		return Result{}, s.unavailable("accepting a new password", err)
	}
	turn := s.takeTurn(ctx)
	now := time.Now()
	a := &acceptance{site: s, token: t, now: now, turn: turn, job: s.newJob(jobChange, now, "")}
	a.change = change{
		ID: newID(now), Grant: t.grant, Era: s.svc.era, Format: format, Password: password,
		At: now.UnixMilli(), Deadline: a.job.Deadline,
	}
	f := s.svc.shared.flights.begin(a.change.ID, typed)
	f.receipt = s.newReceipt(t, typed)
	f.join()
	err = s.update(ctx, a.write)
	if err != nil || !a.leased {
		s.svc.shared.flights.end(a.change.ID)
		s.giveTurn(turn)
		release()
	}
	switch {
	case errors.Is(err, errClaimed):
		return s.outcome(ctx, a.claimedBy, typed)
	case errors.Is(err, ErrGrant):
		return Result{}, ErrGrant
	case err != nil:
		return Result{}, s.unavailable("accepting a new password", err)
	}
	s.log.Info("new password accepted", "reference", a.held.Reference, "change", a.change.ID.String())
	s.observe(now, a.held.Reference, StepAccepted, "")
	if a.older != "" {
		s.observe(now, a.older, StepReplaced, "")
	}
	s.added(jobChange)
	if !a.leased {
		return Result{Status: StatusPending}, nil
	}
	s.svc.crew.start(func() {
		// The queue sleeps until the end of the lease; a change that is to be
		// tried again is due before.
		defer s.queue(jobChange).poke()
		defer release()
		defer s.giveTurn(turn)
		defer s.svc.shared.flights.end(a.change.ID)
		defer s.svc.recovered(s.config.ID, "handing a change to the app")
		s.attempt(context.WithoutCancel(ctx), f, a.leasedChange())
	})
	return f.wait(ctx), nil
}

// outcome waits for the change that stands on a grant and was typed as the
// same password: a double click. Another password was not taken and will not
// be, so whoever sent it must not read that theirs was.
func (s *Site) outcome(ctx context.Context, c change, typed string) (Result, error) {
	f := s.svc.shared.flights.get(c.ID)
	known := ""
	switch {
	case f != nil && f.password != "":
		known = f.password
	case c.Format == plainFormat:
		known = c.Password
	case c.Format == "":
		return Result{}, ErrGrant // replaced by a newer one: no password of it is left to compare with
	}
	if known != "" && subtle.ConstantTimeCompare([]byte(known), []byte(typed)) != 1 {
		return Result{}, ErrGrant
	}
	if f == nil {
		return Result{Status: StatusPending}, nil
	}
	f.join()
	return f.wait(ctx), nil
}

// takeTurn waits for one of the site's places on the way to the app, before
// any lease is taken, so that no lease runs out in a line. It reports false
// when there is none soon; then the worker makes the first attempt.
func (s *Site) takeTurn(ctx context.Context) bool {
	timer := time.NewTimer(attemptWait)
	defer timer.Stop()
	select {
	case s.attempts <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (s *Site) giveTurn(taken bool) {
	if taken {
		<-s.attempts
	}
}

// An acceptance is a change about to be journalled.
type acceptance struct {
	site   *Site
	token  token
	change change
	job    job
	now    time.Time
	turn   bool // the first attempt may be made at once

	claimedBy change // outcome with errClaimed
	older     string // reference of a change that this one replaced
	leased    bool
	account   Account
	record    []byte
	held      *heldJob
}

// write claims the grant and puts the change into the account's slot, in one
// transaction with the job that carries it on after a crash.
func (a *acceptance) write(tx kv.Tx) error {
	s := a.site
	key, r, g, _, err := s.open(tx, a.token, a.now)
	if err != nil {
		return err
	}
	if c := r.claimant(*g); c != nil {
		a.claimedBy = *c
		return errClaimed
	}
	free := s.slotIsFree(r.Lease, a.change.ID, lease{})
	if free {
		r.Lease = lease{}
	}
	c, j := a.change, a.job
	c.Sequence, c.Reference = r.nextSequence(a.now), g.Reference
	g.Change = c.ID
	j.Reference, j.Record, j.Change = g.Reference, key, c.ID
	due := a.now.Add(slotPoll)
	a.leased = free && a.turn
	if a.leased {
		c.Attempt, j.Attempt, j.Holder = 1, 1, s.svc.shared.holder
		r.Lease = lease{Holder: j.Holder, Attempt: 1, Change: c.ID}
		due = a.now.Add(s.lease())
	}
	// An older change that waited is replaced: the newest wins.
	a.older = ""
	c.Replaced = r.Change != nil
	if r.Change != nil {
		a.older = r.Change.Reference
		r.tell(a.older, StepReplaced, a.now, "")
	}
	r.Change = &c
	if at := s.svc.shared.openings.at(g.ID); !at.IsZero() && !r.wasTold(g.Reference, StepOpened) {
		r.tell(g.Reference, StepOpened, at, byLink)
	}
	r.tell(g.Reference, StepAccepted, a.now, "")
	a.account, a.record = r.Account, key
	if err := r.put(tx, key, a.now); err != nil {
		return err
	}
	// As long as the change is on its way its owner must be able to stop it.
	if err := putGrantRow(tx, g.ID, key, time.UnixMilli(c.Deadline).Add(time.Hour)); err != nil {
		return err
	}
	if a.held, err = s.place(tx, jobChange, j, due); err != nil {
		return err
	}
	a.change.Sequence, a.change.Reference, a.change.Attempt = c.Sequence, c.Reference, c.Attempt
	return nil
}

func (a *acceptance) leasedChange() *leasedChange {
	return &leasedChange{change: a.change, account: a.account, record: a.record, held: a.held}
}
