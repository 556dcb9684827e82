package reset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// A flying change is one that this process has leased the slot for.
type flying struct {
	change  change
	account Account
	record  []byte // key of the account record
	held    heldJob
}

// runChange takes the slot for a change that is due and makes one attempt.
func (s *Site) runChange(ctx context.Context, row kv.Pair) error {
	h := heldJob{key: row.Key, kind: jobChange}
	if err := json.Unmarshal(row.Value, &h.job); err != nil {
		return errDamaged
	}
	if !s.takeTurn(ctx) {
		return nil // still due
	}
	defer s.giveTurn(true)
	f := s.svc.shared.flights.begin(h.Change, "")
	if f == nil {
		return nil // being tried in this process at this moment
	}
	defer s.svc.shared.flights.end(h.Change)
	fl, err := s.leaseChange(ctx, h)
	if err != nil && time.Now().UnixMilli() >= h.Deadline && !errors.Is(err, kv.ErrUnknown) && !errors.Is(err, errStale) {
		// The owner's address is in the record that cannot be read.
		s.svc.alarm(s.config.ID, "a new password could not be applied and its owner cannot be told", err, "reference", h.Reference)
		return s.finish(ctx, &h, nil)
	}
	if err != nil || fl == nil {
		return err
	}
	s.attempt(ctx, f, fl)
	return nil
}

// attempt hands the change to the app once and stores what came of it.
func (s *Site) attempt(ctx context.Context, f *flight, fl *flying) {
	c := fl.change
	outcome := s.apply(ctx, fl)
	attended := f.decide()
	result, message := s.tell(outcome)
	now := time.Now()
	if outcome.Verdict == Applied && f.password != "" {
		s.svc.shared.receipts.add(f.receipt, now)
	}
	notice := s.newNotice(noticeFor(outcome.Verdict), fl.account, c.Reference, time.UnixMilli(c.At))
	if outcome.Verdict == Applied {
		notice.Created = now.UnixMilli()
	}
	wait := s.nextTry(c, outcome, now)
	s.logAttempt(fl, outcome, message, wait)

	store, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin/2)
	defer cancel()
	var ended, noticed bool
	err := s.persist(store, func(tx kv.Tx) error {
		ended, noticed = false, false
		if err := fl.held.holds(tx); err != nil {
			return err
		}
		r, err := s.svc.loadRecord(tx, fl.record, now)
		if err != nil {
			return err
		}
		if r.Change == nil || r.Change.ID != c.ID || r.Change.Attempt != c.Attempt {
			ended = true
			noticed, err = s.endReplaced(tx, fl, r, outcome.Verdict, now, notice)
			return err
		}
		r.Lease = lease{}
		if wait > 0 {
			if err := r.put(tx, fl.record, now); err != nil {
				return err
			}
			free := fl.held.job
			free.Holder = ""
			_, err := s.move(tx, &fl.held, free, now.Add(wait))
			return err
		}
		ended = true
		var tell *job
		if !attended || outcome.Verdict == Applied || outcome.Verdict == Retry || r.Change.Replaced {
			tell, noticed = &notice, true
		}
		switch outcome.Verdict {
		case Applied:
			r.completed()
		case Refused:
			kept, err := s.giveBack(tx, r, fl, now)
			if err != nil {
				return err
			}
			if kept {
				r.Change.Grant = id{}
			}
		}
		return s.endChange(tx, &fl.held, r, now, tell)
	})
	if err != nil {
		s.svc.alarm(s.config.ID, "the outcome of a change could not be stored; it is tried again", err, "reference", c.Reference)
		if outcome.Verdict != Applied {
			result = Result{Status: StatusPending}
		}
	}
	if ended {
		s.queue(jobChange).count.Add(-1)
	}
	if noticed {
		s.added(jobNotice)
	}
	f.settle(result)
}

// apply calls the target within its time. A panic in it is an unknown outcome.
func (s *Site) apply(ctx context.Context, fl *flying) (a Attempt) {
	ctx, cancel := context.WithTimeout(ctx, s.config.AttemptTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			a = Attempt{Verdict: Retry, Alarm: true, Err: fmt.Errorf("panic: %T", p)}
		}
	}()
	c := fl.change
	return s.config.Target.Apply(ctx, Change{
		Site: s.config.ID, ID: c.ID.String(), ResetID: c.Reference, Sequence: c.Sequence,
		Account: fl.account, Format: c.Format, Password: c.Password, At: time.UnixMilli(c.At).UTC(),
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

func (s *Site) logAttempt(fl *flying, a Attempt, message string, wait time.Duration) {
	attrs := []any{"reference", fl.change.Reference, "change", fl.change.ID.String(), "attempt", fl.change.Attempt}
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
