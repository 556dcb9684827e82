package reset

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// slotPoll is how soon a change looks again for a slot that is in use.
const slotPoll = time.Second

// leaseChange takes job and slot in one transaction. It returns nil if there
// is nothing to try: the change was replaced, cancelled or has run out of
// time, or the slot is in use.
func (s *Site) leaseChange(ctx context.Context, h *heldJob) (*leasedChange, error) {
	dead, err := s.deadLease(ctx, h)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	notice := s.newNotice(LetterFailed, Account{}, h.Reference, time.UnixMilli(h.Created))
	var leased *leasedChange
	var ended bool
	var lost string // why the change cannot be applied any more
	err = s.persist(ctx, func(tx kv.Tx) error {
		leased, ended, lost = nil, false, ""
		if err := h.holds(tx); err != nil {
			return err
		}
		r, err := s.svc.loadRecord(tx, h.Record, now)
		if err != nil {
			return err
		}
		c := r.Change
		if c == nil || c.ID != h.Change {
			ended = true
			return h.remove(tx)
		}
		if !s.slotIsFree(r.Lease, c.ID, dead) {
			_, err := s.move(tx, h, h.job, now.Add(slotPoll))
			return err
		}
		switch {
		case c.Era < s.svc.era:
			lost = "an older copy of the store was put back"
		case now.UnixMilli() >= c.Deadline:
			lost = "the app did not take it within its time"
		}
		if lost != "" {
			ended = true
			r.tell(c.Reference, StepFailed, now, lost)
			_, err := s.endChange(tx, h, r, now, notice, now)
			return err
		}
		j := h.job
		j.Attempt, j.Holder = c.Attempt+1, s.svc.shared.holder
		c.Attempt = j.Attempt
		r.Lease = lease{Holder: j.Holder, Attempt: j.Attempt, Change: c.ID}
		if err := r.put(tx, h.Record, now); err != nil {
			return err
		}
		held, err := s.move(tx, h, j, now.Add(s.lease()))
		leased = &leasedChange{change: *c, account: r.Account, record: h.Record, held: held}
		return err
	})
	if err != nil {
		return nil, err
	}
	if ended {
		s.queue(jobChange).count.Add(-1)
	}
	if lost != "" {
		s.added(jobNotice)
		s.observe(now, h.Reference, StepFailed, lost)
		s.svc.alarm(s.config.ID, "a new password could not be applied and its owner is told: "+lost, nil, "reference", h.Reference)
	}
	return leased, nil
}

// deadLease returns the slot's lease if it was taken by another process and
// has been over for long enough by our own clock.
func (s *Site) deadLease(ctx context.Context, h *heldJob) (lease, error) {
	if s.svc.exclusive {
		return lease{}, nil
	}
	var l lease
	err := s.svc.store.View(ctx, func(tx kv.Reader) error {
		r, err := s.svc.loadRecord(tx, h.Record, time.Now())
		if err == nil {
			l = r.Lease
		}
		return err
	})
	if err != nil || l.Holder == "" || l.Holder == s.svc.shared.holder {
		return lease{}, err
	}
	mark := fmt.Sprintf("%s %s %d", l.Holder, l.Change, l.Attempt)
	if s.svc.shared.foreign.unchangedFor(string(h.Record), mark, s.lease()) {
		return l, nil
	}
	return lease{}, nil
}

// slotIsFree reports whether nobody but the flight of change is on the way to
// the app for the account. dead is a lease of another process that was judged
// to be over.
func (s *Site) slotIsFree(l lease, change id, dead lease) bool {
	switch {
	case l.Holder == "":
		return true
	case l.Holder == s.svc.shared.holder:
		// Left by an attempt of ours whose outcome could not be stored, unless
		// it is still under way.
		return l.Change == change || s.svc.shared.flights.get(l.Change) == nil
	default:
		return s.svc.exclusive || l == dead
	}
}

// endChange empties the slot, ends the grant that the change came by, and
// removes the job, in one transaction with the notice to the owner, which it
// returns.
func (s *Site) endChange(tx kv.Tx, h *heldJob, r *record, now time.Time, notice job, due time.Time) (*heldJob, error) {
	r.drop(r.Change.Grant)
	r.Change, r.Lease = nil, lease{}
	if err := r.put(tx, h.Record, now); err != nil {
		return nil, err
	}
	notice.To = &r.Account
	queued, err := s.place(tx, jobNotice, notice, due)
	if err != nil {
		return nil, err
	}
	return queued, h.remove(tx)
}
