package reset

import (
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// spareNotice is how long a notice waits to be taken back because its owner has
// read the outcome on the page. It is stored all the same: if the store does not
// say whether it took the ending, they read "pending", and were promised a mail.
const spareNotice = 30 * time.Second

// An ending stores what came of one attempt at a change.
type ending struct {
	*leasedChange
	site     *Site
	verdict  Verdict
	attended bool // somebody waits, and reads the outcome
	now      time.Time
	wait     time.Duration // until the next attempt; 0 for none
	notice   job           // to the owner, if there is to be one

	step   Step // what it means for the request; "" if it was told already
	detail string

	ended   bool     // the change is no more
	noticed bool     // the notice was queued
	spare   *heldJob // the notice, if it is not needed once its owner has read the outcome
}

func (s *Site) newEnding(leased *leasedChange, outcome Attempt, attended bool) *ending {
	e := &ending{
		leasedChange: leased, site: s, verdict: outcome.Verdict, attended: attended, now: time.Now(),
	}
	e.wait = s.nextTry(leased.change, outcome, e.now)
	e.notice = s.newNotice(noticeFor(e.verdict), leased.account, leased.change.Reference, time.UnixMilli(leased.change.At))
	if e.verdict == Applied {
		e.notice.Created = e.now.UnixMilli()
	}
	e.detail = cause(outcome.Err)
	return e
}

// tell adds to the story what the attempt has come to.
func (e *ending) tell(r *record) {
	switch {
	case e.wait > 0:
		e.step = StepPending
	case e.verdict == Retry:
		e.step = StepFailed
	default:
		e.step = [...]Step{Applied: StepChanged, Refused: StepRefused, Gone: StepGone, Superseded: StepSuperseded}[e.verdict]
	}
	if e.step == StepPending && e.change.Attempt > 1 {
		e.step = "" // still
		return
	}
	r.tell(e.change.Reference, e.step, e.now, e.detail)
}

// write is the transaction; it may run more than once.
func (e *ending) write(tx kv.Tx) error {
	e.step, e.ended, e.noticed, e.spare = "", false, false, nil
	if err := e.held.holds(tx); err != nil {
		return err
	}
	r, err := e.site.svc.loadRecord(tx, e.record, e.now)
	if err != nil {
		return err
	}
	if r.Change == nil || r.Change.ID != e.change.ID || r.Change.Attempt != e.change.Attempt {
		return e.replaced(tx, r)
	}
	e.tell(r)
	r.Lease = lease{}
	if e.wait > 0 {
		return e.again(tx, r)
	}
	e.ended, e.noticed = true, true
	due := e.now
	spare := false
	if e.attended && e.verdict != Applied && e.verdict != Retry && !r.Change.Replaced {
		spare, due = true, due.Add(spareNotice)
	}
	switch e.verdict {
	case Applied:
		r.completed()
	case Refused:
		kept, err := e.giveBack(tx, r)
		if err != nil {
			return err
		}
		if kept {
			r.Change.Grant = id{}
		}
	}
	queued, err := e.site.endChange(tx, e.held, r, e.now, e.notice, due)
	if spare {
		e.spare = queued
	}
	return err
}

// count brings the sizes of the queues up to date once write is durable.
func (e *ending) count() {
	if e.ended {
		e.site.queue(jobChange).count.Add(-1)
	}
	if e.noticed {
		e.site.added(jobNotice)
	}
}

// again leaves the slot until the next attempt.
func (e *ending) again(tx kv.Tx, r *record) error {
	if err := r.put(tx, e.record, e.now); err != nil {
		return err
	}
	free := e.held.job
	free.Holder, free.Cause = "", e.detail
	_, err := e.site.move(tx, e.held, free, e.now.Add(e.wait))
	return err
}

// replaced ends an attempt whose change was replaced by a newer one, or
// cancelled, while it was in flight: it gives back what it held. The app may
// have applied the change all the same, and then it is a completed one: its
// owner must hear of it and every other link must end, or whoever holds a mail
// could silence the notice by using both of its links.
func (e *ending) replaced(tx kv.Tx, r *record) error {
	e.ended = true
	if r.Lease.Change == e.change.ID && r.Lease.Attempt == e.change.Attempt {
		kept := false
		if e.verdict == Refused {
			var err error
			if kept, err = e.giveBack(tx, r); err != nil {
				return err
			}
		}
		if !kept {
			r.drop(e.change.Grant)
		}
		r.Lease = lease{}
	}
	if e.verdict != Retry {
		e.tell(r)
	}
	if e.verdict == Applied {
		r.completed()
	}
	// Without an answer nobody knows whether a cancelled change was applied.
	if e.verdict == Applied || e.verdict == Retry && r.Change == nil {
		e.noticed = true
		if err := e.site.addJob(tx, jobNotice, e.notice, e.now); err != nil {
			return err
		}
	}
	if err := r.putListed(tx, e.record, e.now); err != nil {
		return err
	}
	return e.held.remove(tx)
}

// giveBack makes the grant of a refused change usable again, and its row with
// it. It reports false if the grant has ended meanwhile, or was refused too
// often.
func (e *ending) giveBack(tx kv.Tx, r *record) (bool, error) {
	g := r.grant(e.change.Grant)
	if g == nil || g.Change != e.change.ID || !g.release(e.now) {
		return false, nil
	}
	return true, putGrantRow(tx, g.ID, e.record, time.UnixMilli(g.Expires))
}
