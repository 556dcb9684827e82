package reset

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

var (
	// ErrJob says that no job with that id waits: it has ended, or never was.
	ErrJob = errors.New("no such job waits")

	// ErrJobBusy says that a job is being tried at this moment.
	ErrJobBusy = errors.New("the job is being tried at this moment")
)

// A WaitingJob is durable work that has not ended, as an operator may see it.
type WaitingJob struct {
	ID        string
	Site      string
	Kind      string // mail, change or notice
	Reference string
	Queued    time.Time
	Due       time.Time // of the next attempt; of one that is being tried, the end of its lease
	Deadline  time.Time
	Attempts  int    // begun so far
	Trying    bool   // leased to an attempt
	Cause     string // why the last attempt came to nothing
}

func (h *heldJob) waiting() WaitingJob {
	return WaitingJob{
		ID: h.ID.String(), Site: h.Site, Kind: h.kind.String(), Reference: h.Reference,
		Queued: h.ID.made(), Due: dueOf(h.key), Deadline: time.UnixMilli(h.Deadline),
		Attempts: h.Attempt, Trying: h.Holder != "", Cause: h.Cause,
	}
}

// Waiting returns the jobs of a site that wait, those of one kind after those of
// another and each in the order in which they come due, but no more than most of
// each kind.
func (s *Site) Waiting(ctx context.Context, most int) ([]WaitingJob, error) {
	release, err := s.svc.hold()
	if err != nil {
		return nil, err
	}
	defer release()
	var all []WaitingJob
	for _, k := range jobKinds {
		n := 0
		err := s.eachRow(ctx, k, func(row kv.Pair) bool {
			if h, err := readJob(k, row); err == nil {
				all = append(all, h.waiting())
				n++
			}
			return n < most
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// WaitingJob returns one job. It returns [ErrJob] if there is none with that id.
func (s *Service) WaitingJob(ctx context.Context, jobID string) (WaitingJob, error) {
	var w WaitingJob
	err := s.onJob(ctx, jobID, func(_ *Site, h *heldJob) error {
		w = h.waiting()
		return nil
	})
	return w, err
}

// RetryJob makes a job due now. It returns [ErrJob] or [ErrJobBusy].
func (s *Service) RetryJob(ctx context.Context, jobID string) error {
	return s.onJob(ctx, jobID, func(site *Site, h *heldJob) error {
		if h.isBusy(site) {
			return ErrJobBusy
		}
		q := site.queue(h.kind)
		q.wakeUp()
		if err := site.postpone(ctx, h, 0, nil); err != nil {
			return busyIfStale(err)
		}
		site.observe(time.Now(), h.Reference, StepRetried, h.kind.String()+", "+byOperator)
		return nil
	})
}

// DropJob ends a job without another attempt. A mail is not sent. A change is
// not handed over, its link ends, and its owner is told that the old password
// stands: they were promised that the new one would take effect. It returns
// [ErrJob] or [ErrJobBusy].
func (s *Service) DropJob(ctx context.Context, jobID string) error {
	return s.onJob(ctx, jobID, func(site *Site, h *heldJob) error {
		if h.isBusy(site) {
			return ErrJobBusy
		}
		switch h.kind {
		case jobMail:
			return busyIfStale(site.dropMail(ctx, h))
		case jobChange:
			return busyIfStale(site.dropChange(ctx, h))
		default:
			return busyIfStale(site.dropNotice(ctx, h))
		}
	})
}

// byOperator is the detail of what an operator has done.
const byOperator = "by the operator"

// askedBy is the detail of a request.
func askedBy(desk bool) string {
	if desk {
		return byOperator
	}
	return ""
}

func (s *Site) dropMail(ctx context.Context, h *heldJob) error {
	now := time.Now()
	key := h.Account
	if key == nil {
		key = s.limitedKey(h.Login)
	}
	err := s.finish(ctx, h, func(tx kv.Tx) error {
		r, err := s.svc.loadRecord(tx, key, now)
		if err != nil {
			return err
		}
		r.Decoy = r.Decoy || h.Account == nil
		r.begin(h.Reference, h.Created, h.Desk, now)
		r.mailEnded(h.Reference, StepRevoked, now, byOperator)
		return r.putListed(tx, key, now)
	})
	if err == nil {
		s.observe(now, h.Reference, StepRevoked, byOperator)
	}
	return err
}

func (s *Site) dropChange(ctx context.Context, h *heldJob) error {
	now := time.Now()
	notice := s.newNotice(LetterFailed, Account{}, h.Reference, time.UnixMilli(h.Created))
	told := false
	err := s.persist(ctx, func(tx kv.Tx) error {
		if err := h.holds(tx); err != nil {
			return err // also after an earlier try that was stored: what it told stands
		}
		told = false
		r, err := s.svc.loadRecord(tx, h.Record, now)
		if err != nil {
			return err
		}
		if r.Change == nil || r.Change.ID != h.Change {
			return h.remove(tx)
		}
		if r.Lease.Holder != "" && !s.slotIsFree(r.Lease, h.Change, lease{}) {
			return ErrJobBusy
		}
		told = true
		r.tell(h.Reference, StepRevoked, now, byOperator)
		_, err = s.endChange(tx, h, r, now, notice, now)
		return err
	})
	if err != nil {
		return err
	}
	s.queue(jobChange).count.Add(-1)
	if told {
		s.added(jobNotice)
		s.observe(now, h.Reference, StepRevoked, byOperator)
	}
	return nil
}

func (s *Site) dropNotice(ctx context.Context, h *heldJob) error {
	err := s.finish(ctx, h, nil)
	if err == nil {
		s.observe(time.Now(), h.Reference, StepDropped, byOperator)
	}
	return err
}

// isBusy reports whether the job is being tried, here or in another process. With
// an exclusive store the lease of another is that of a process that is no more.
func (h *heldJob) isBusy(s *Site) bool {
	if h.Holder != "" && h.Holder != s.svc.shared.holder {
		return !s.svc.exclusive
	}
	q := s.queue(h.kind)
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.busy[h.ID] || !h.Change.isZero() && s.svc.shared.flights.get(h.Change) != nil
}

func busyIfStale(err error) error {
	if errors.Is(err, errStale) {
		return ErrJobBusy // somebody took it between looking and acting
	}
	return err
}

// onJob finds a job, which stands under its due time, and runs fn with it.
func (s *Service) onJob(ctx context.Context, jobID string, fn func(*Site, *heldJob) error) error {
	var want id
	if err := want.UnmarshalText([]byte(jobID)); err != nil || want.isZero() {
		return ErrJob
	}
	release, err := s.hold()
	if err != nil {
		return err
	}
	defer release()
	for _, site := range s.ordered() {
		for _, k := range jobKinds {
			var found *heldJob
			err := site.eachRow(ctx, k, func(row kv.Pair) bool {
				if jobOf(row.Key) != want {
					return true
				}
				found, _ = readJob(k, row) // one that is damaged is set aside when it comes due
				return false
			})
			if err != nil {
				return err
			}
			if found != nil {
				return fn(site, found)
			}
		}
	}
	return ErrJob
}
