package reset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// refusalsInARow is how many mails the relay may refuse for good, one after
// another, before it looks like a wrong setting.
const refusalsInARow = 5

// runMail makes one attempt at a request: look up, mint, mail. Secrets are
// made for each attempt and never stored, so a retry mints again.
//
// A hit, a miss and a limited request make the same updates: mint, finish.
func (s *Site) runMail(ctx context.Context, h *heldJob) error {
	now := time.Now()
	if now.UnixMilli() >= h.Deadline {
		s.log.Warn("reset given up: its hour is over", "reference", h.Reference, "attempts", h.Attempt-1)
		return s.expire(ctx, h, nil)
	}
	if !s.svc.clockIsSane(now) {
		return s.postpone(ctx, h, backoff(mailBackoff, h.Attempt), nil)
	}
	account, others, err := s.lookup(ctx, h)
	limited := errors.Is(err, errTooOften)
	if err != nil && !limited {
		s.logLookup(h, err)
		return s.retryMail(ctx, h, err, nil)
	}
	m := s.newMinting(account, h.job, time.Now())
	m.limited = limited
	first := h.isFirst()
	if err := s.mint(ctx, h, m, others); err != nil {
		return err
	}
	if first && m.minted {
		s.svc.shared.logins.note(s.config.ID, h.Login, s.config.PerAccount, m.now)
	}
	if m.decoy || !m.minted {
		// For the help desk, who are asked where the mail is.
		step, reason := m.mailless()
		s.log.Info("reset ended without a mail", "reference", h.Reference, "reason", reason)
		return s.endMail(ctx, h, m, step, reason, nil)
	}
	return s.mail(ctx, h, m)
}

// isFirst reports whether this is the first look at a request.
func (h *heldJob) isFirst() bool { return h.Attempt == 1 && h.Account == nil }

// errTooOften says that a login is asked for too often to be looked up.
var errTooOften = errors.New("login asked for too often")

// lookup asks the directory, unless this login is asked for too often. The
// first account is this job's own; the others get jobs of theirs.
func (s *Site) lookup(ctx context.Context, h *heldJob) (own *Account, others []Account, err error) {
	if bytes.Equal(h.Account, s.limitedKey(h.Login)) {
		return nil, nil, errTooOften // found by an attempt that a crash has cut off
	}
	if h.isFirst() && !h.Desk && !s.svc.shared.logins.permits(s.config.ID, h.Login, s.config.PerAccount, s.config.LinkTTL, time.Now()) {
		return nil, nil, errTooOften
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := s.consult(ctx, h.Login)
	if err != nil {
		return nil, nil, err
	}
	if len(found) > MaxAccounts {
		s.svc.alarm(s.config.ID, fmt.Sprintf("the directory returned more than %d accounts for one login; the rest gets no mail", MaxAccounts), nil)
		found = found[:MaxAccounts]
	}
	usable := found[:0:0]
	for _, a := range found {
		if a.Email == "" {
			continue
		}
		if err := a.Check(); err != nil {
			s.svc.alarm(s.config.ID, "the directory returned an account that can get no mail", err, "reference", h.Reference)
			continue
		}
		usable = append(usable, a)
	}
	if h.Account != nil {
		for n := range usable {
			if bytes.Equal(s.accountKey(usable[n].ID), h.Account) {
				return &usable[n], nil, nil
			}
		}
		return nil, nil, nil // the account is gone since, or there was none
	}
	if len(usable) == 0 {
		return nil, nil, nil
	}
	return &usable[0], usable[1:], nil
}

const lookupTimeout = 15 * time.Second

// errPanicked is a lookup that ended in a panic, which is in the log.
var errPanicked = errors.New("panic")

// consult asks the directory. A panic in it is a lookup that failed.
func (s *Site) consult(ctx context.Context, login string) (found []Account, err error) {
	begun := time.Now()
	defer func() {
		s.svc.observer.Called(s.config.ID, CallLookup, lookupOutcome(found, err), time.Since(begun))
	}()
	defer func() {
		if p := recover(); p != nil {
			s.svc.panicked(s.config.ID, "looking up an account", p)
			err = errPanicked
		}
	}()
	return s.config.Directory.Lookup(ctx, login)
}

func lookupOutcome(found []Account, err error) string {
	switch {
	case err != nil:
		return "failed"
	case len(found) == 0:
		return "unknown"
	default:
		return "found"
	}
}

// mint takes the job, pins it to its account, writes the grant and queues the
// mails to the others. A crash before it leaves the job as it was.
func (s *Site) mint(ctx context.Context, h *heldJob, m *minting, others []Account) error {
	h.Account, h.Counted = m.recordKey(), true
	siblings := make([]job, len(others))
	for n, a := range others {
		siblings[n] = s.newJob(jobMail, m.now, h.Reference)
		siblings[n].Deadline, siblings[n].Login, siblings[n].Account = h.Deadline, h.Login, s.accountKey(a.ID)
		siblings[n].Dialect, siblings[n].Words, siblings[n].LinkTTL, siblings[n].Desk = h.Dialect, h.Words, h.LinkTTL, h.Desk
	}
	err := s.leaseJob(ctx, h, func(tx kv.Tx) error {
		if err := m.write(tx, h.Reference); err != nil {
			return err
		}
		for _, j := range siblings {
			if err := s.addJob(tx, jobMail, j, m.now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for range siblings {
		s.added(jobMail)
	}
	if m.minted && !m.counted && !m.decoy {
		s.observe(m.now, h.Reference, StepFound, "")
	}
	return nil
}

// mail composes and sends the letter of a minting and stores what became of
// it.
func (s *Site) mail(ctx context.Context, h *heldJob, m *minting) error {
	l := Letter{
		Kind: LetterReset, To: m.account, MessageID: h.ID.String(), Reference: h.Reference,
		Dialect: h.Dialect, Words: h.Words.unpack(),
		At:   time.UnixMilli(h.Created),
		Link: s.config.Links.Link(h.Dialect, m.link.String()), CancelLink: s.config.Links.CancelLink(m.cancel.String()), AskLink: s.config.Links.AskLink(),
		LinkTTL: m.linkTTL, CodeTTL: m.codeTTL,
	}
	if m.coded {
		l.Code = m.code
	}
	d := s.send(ctx, CallMail, l)
	// The outcome is stored even if the attempt used up its time.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin)
	defer cancel()
	s.logDelivery(h, d)
	if d.Status == Unwanted {
		// What a filter does not let through may be a caller's words. Kept, they
		// would use up the mails of an account for whoever wants to lock it out.
		h.Words = nil
	}
	switch d.Status {
	case Sent:
		return s.endMail(ctx, h, m, StepMailed, d.Answer, nil)
	case Rejected:
		return s.endMail(ctx, h, m, StepRejected, cause(d.Err), m.unmint)
	case NotSent, Misconfigured, Unwanted, Unreachable:
		return s.retryMail(ctx, h, d.Err, m.unmint)
	default:
		// It may have arrived: the links in it must live on.
		return s.retryMail(ctx, h, d.Err, nil)
	}
}

// endMail ends a mail job and writes into the record what became of it, for a hit
// and a miss alike. also changes the record too, if it is not nil.
func (s *Site) endMail(ctx context.Context, h *heldJob, m *minting, step Step, detail string, also func(kv.Tx) error) error {
	now := time.Now()
	err := s.finish(ctx, h, func(tx kv.Tx) error {
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		r, err := s.svc.loadRecord(tx, h.Account, now)
		if err != nil {
			return err
		}
		r.mailEnded(h.Reference, step, now, detail)
		return r.put(tx, h.Account, now)
	})
	if err == nil {
		s.observe(now, h.Reference, step, detail)
		if step == StepLimited {
			limit := LimitAccount
			if m.limited {
				limit = LimitLogin
			}
			s.svc.observer.Limited(s.config.ID, limit)
		}
	}
	return err
}

// expire ends a mail job whose time is over. Where nothing could be looked up, a
// record of the login says so.
func (s *Site) expire(ctx context.Context, h *heldJob, also func(kv.Tx) error) error {
	now := time.Now()
	key := h.Account
	if key == nil {
		key = s.limitedKey(h.Login)
	}
	err := s.finish(ctx, h, func(tx kv.Tx) error {
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		r, err := s.svc.loadRecord(tx, key, now)
		if err != nil {
			return err
		}
		if h.Account == nil {
			r.Decoy = true
		}
		r.begin(h.Reference, h.Created, h.Desk, now)
		r.mailEnded(h.Reference, StepExpired, now, h.Cause)
		return r.putListed(tx, key, now)
	})
	if err == nil {
		s.observe(now, h.Reference, StepExpired, h.Cause)
	}
	return err
}

// send composes a letter and hands it to the relay.
func (s *Site) send(ctx context.Context, c Call, l Letter) (d Delivery) {
	msg, err := s.config.Composer.Compose(l)
	if err != nil {
		return Delivery{Status: Misconfigured, Err: fmt.Errorf("composing the mail: %w", err)}
	}
	begun := time.Now()
	defer func() { s.svc.observer.Called(s.config.ID, c, d.Status.String(), time.Since(begun)) }()
	return s.config.Mailer.Send(ctx, msg)
}

// retryMail puts the job to its next attempt, or ends it if that would be past
// its deadline.
func (s *Site) retryMail(ctx context.Context, h *heldJob, why error, also func(kv.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin)
	defer cancel()
	h.Cause = cause(why)
	wait := backoff(mailBackoff, h.Attempt)
	if time.Now().Add(wait).UnixMilli() >= h.Deadline {
		s.log.Warn("mail given up: its deadline comes before the next attempt",
			"reference", h.Reference, "job", h.Kind, "attempts", h.Attempt)
		if h.kind == jobNotice {
			return s.finish(ctx, h, also)
		}
		return s.expire(ctx, h, also)
	}
	err := s.postpone(ctx, h, wait, also)
	if err == nil && h.kind == jobMail {
		s.observe(time.Now(), h.Reference, StepDelayed, h.Cause)
	}
	return err
}

// logDelivery says what became of a mail. Only the operator can mend a
// refused login or a TLS fault: the queue rests and calls them.
func (s *Site) logDelivery(h *heldJob, d Delivery) {
	attrs := []any{"reference", h.Reference, "job", h.Kind, "attempt", h.Attempt}
	if d.Err != nil {
		attrs = append(attrs, "error", d.Err.Error())
	}
	switch d.Status {
	case Sent:
		s.queue(h.kind).trust(time.Now())
		s.log.Info("mail handed to the relay", attrs...)
	case Rejected:
		s.queue(h.kind).met()
		s.log.Warn("the relay refused the mail for good", attrs...)
		if s.queue(h.kind).refused() >= refusalsInARow {
			// One address may be wrong; a relay that takes none is set up wrongly.
			s.svc.alarm(s.config.ID, "the relay refuses one recipient after another; may this host send through it?", d.Err)
		}
	case Misconfigured:
		s.queue(h.kind).fail(time.Now())
		s.queue(h.kind).rest(restAfterRefusal)
		s.svc.alarm(s.config.ID, "mail cannot be sent until a setting is mended; it stays queued", d.Err, "reference", h.Reference)
	case Unwanted:
		// The queue does not rest: whoever can make one mail look like spam, or
		// has a mailbox that refuses it, would hold up everybody's.
		s.queue(h.kind).met()
		if h.Words != nil {
			s.log.Warn("the relay does not take a mail in the words of a caller; it goes out in ours", attrs...)
			return
		}
		s.svc.alarm(s.config.ID, "the relay does not take a mail for what it says; it stays queued and others go on", d.Err, "reference", h.Reference)
	case Unreachable:
		// Trying all that wait would keep the machine busy.
		s.queue(h.kind).miss(time.Now())
		fallthrough
	default:
		s.queue(h.kind).fail(time.Now())
		s.log.Warn("mail not handed over yet", attrs...)
	}
}

func (s *Site) logLookup(h *heldJob, err error) {
	if errors.Is(err, errPanicked) {
		return
	}
	var a interface{ Alarm() bool }
	if errors.As(err, &a) && a.Alarm() {
		s.svc.alarm(s.config.ID, "the directory is set up wrongly; requests stay queued", err, "reference", h.Reference)
		return
	}
	s.log.Warn("looking up an account failed; trying again", "reference", h.Reference, "attempt", h.Attempt, "error", err.Error())
}
