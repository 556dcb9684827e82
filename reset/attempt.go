package reset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// A leasedChange is one that this process holds the slot for.
type leasedChange struct {
	change  change
	account Account
	record  []byte // key of the account record
	held    *heldJob
}

// runChange takes the slot for a change that is due and makes one attempt.
func (s *Site) runChange(ctx context.Context, h *heldJob) error {
	if !s.takeTurn(ctx) {
		return nil // still due
	}
	defer s.giveTurn(true)
	f := s.svc.shared.flights.begin(h.Change, "")
	if f == nil {
		return nil // being tried in this process at this moment
	}
	defer s.svc.shared.flights.end(h.Change)
	leased, err := s.leaseChange(ctx, h)
	if err != nil && time.Now().UnixMilli() >= h.Deadline && !errors.Is(err, kv.ErrUnknown) && !errors.Is(err, errStale) {
		// The owner's address is in the record that cannot be read.
		s.svc.alarm(s.config.ID, "a new password could not be applied and its owner cannot be told", err, "reference", h.Reference)
		return s.finish(ctx, h, nil)
	}
	if err != nil || leased == nil {
		return err
	}
	s.attempt(ctx, f, leased)
	return nil
}

// attempt hands the change to the app once and stores what came of it.
func (s *Site) attempt(ctx context.Context, f *flight, leased *leasedChange) {
	begun := time.Now()
	outcome := s.apply(ctx, leased)
	s.svc.observer.Called(s.config.ID, CallChange, outcome.Verdict.String(), time.Since(begun))
	e := s.newEnding(leased, outcome, f.decide())
	result, message := s.tell(outcome)
	if outcome.Verdict == Applied && f.password != "" {
		s.svc.shared.receipts.add(f.receipt, e.now)
	}
	s.logAttempt(leased, outcome, message, e.wait)

	store, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin/2)
	defer cancel()
	switch err := s.persist(store, e.write); {
	case err == nil:
		e.count()
		if e.step != "" {
			s.observe(e.now, leased.change.Reference, e.step, e.detail)
		}
		if e.spare != nil {
			_ = s.finish(store, e.spare, nil) // if it stays, its owner is told twice
		}
	default:
		s.svc.alarm(s.config.ID, "the outcome of a change could not be stored; it is tried again", err, "reference", leased.change.Reference)
		if outcome.Verdict != Applied {
			result = Result{Status: StatusPending}
		}
	}
	f.settle(result)
}

// apply calls the target within its time. A panic in it is an unknown outcome.
func (s *Site) apply(ctx context.Context, leased *leasedChange) (a Attempt) {
	ctx, cancel := context.WithTimeout(ctx, s.config.AttemptTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			a = Attempt{Verdict: Retry, Alarm: true, Err: fmt.Errorf("panic: %T", p)}
		}
	}()
	c := leased.change
	return s.config.Target.Apply(ctx, Change{
		Site: s.config.ID, ID: c.ID.String(), ResetID: c.Reference, Sequence: c.Sequence,
		Account: leased.account, Format: c.Format, Password: c.Password, At: time.UnixMilli(c.At).UTC(),
	})
}

// nextTry returns how long to wait for another attempt, or 0 if there is none.
func (s *Site) nextTry(c change, a Attempt, now time.Time) time.Duration {
	if a.Verdict != Retry {
		return 0
	}
	left := time.UnixMilli(c.Deadline).Sub(now)
	wait := max(backoff(changeBackoff, c.Attempt), min(a.RetryAfter, changeBackoff[len(changeBackoff)-1]))
	if wait < left {
		return wait
	}
	// One last attempt as late as possible, if there is time for one.
	return max(left-s.lease(), 0)
}

// tell returns what the person who waits is told, and what the log says.
func (s *Site) tell(a Attempt) (Result, string) {
	switch a.Verdict {
	case Applied:
		return Result{Status: StatusChanged}, "password changed"
	case Refused:
		return Result{Status: StatusRefused, Detail: PlainText(a.Detail, MaxDetail)}, "the app refused the new password"
	case Gone:
		return Result{Status: StatusGone}, "the app says that the account is gone"
	case Superseded:
		return Result{Status: StatusSuperseded}, "the app has a newer change"
	default:
		return Result{Status: StatusPending}, "the app did not take the change yet"
	}
}

func noticeFor(v Verdict) LetterKind {
	switch v {
	case Applied:
		return LetterChanged
	case Refused:
		return LetterRefused
	default:
		return LetterFailed
	}
}

func (s *Site) logAttempt(leased *leasedChange, a Attempt, message string, wait time.Duration) {
	attrs := []any{"reference", leased.change.Reference, "change", leased.change.ID.String(), "attempt", leased.change.Attempt}
	if a.Err != nil {
		attrs = append(attrs, "error", a.Err.Error())
	}
	switch {
	case a.Verdict == Applied || a.Verdict == Refused:
		s.log.Info(message, attrs...)
	case a.Verdict == Superseded:
		s.svc.alarm(s.config.ID, "the app reports a newer change that is not known here; does something else set passwords with this sequence?", a.Err, attrs[:4]...)
	case a.Verdict == Retry && wait == 0:
		s.svc.alarm(s.config.ID, "a new password could not be applied and its owner is told: the app did not take it within its time", a.Err, attrs[:4]...)
	case a.Alarm:
		s.svc.alarm(s.config.ID, "the target is set up wrongly; changes stay queued", a.Err, attrs[:4]...)
	default:
		s.log.Warn(message, append(attrs, "again_in", wait.Round(time.Second).String())...)
	}
}
