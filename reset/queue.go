package reset

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// queueState is what this process knows of one queue.
type queueState struct {
	wake   chan struct{} // there is something to do
	unread atomic.Bool   // a row that the lineup does not hold may have been added or moved since the queue was read
	count  atomic.Int64  // jobs waiting, as far as this process knows
	lineup lineup

	mu       sync.Mutex
	busy     map[id]bool // jobs in flight in this process
	until    time.Time   // the queue rests until then
	wary     bool        // the relay refused our login: one attempt at a time
	unmet    int         // rests since a relay was there
	taken    time.Time   // when a mail was
	refusals int         // mails refused for good since one was taken
	failed   time.Time   // when the relay last took no mail; zero since it took one
}

// poke makes the queue look for due jobs now, also in the store.
func (q *queueState) poke() {
	q.unread.Store(true)
	q.stir()
}

// stir is poke where no row was added or moved.
func (q *queueState) stir() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queueState) begin(j id) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy[j] {
		return false
	}
	q.busy[j] = true
	return true
}

// has reports whether this process holds a job back or runs it.
func (q *queueState) has(j id) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.busy[j] || q.lineup.has(j)
}

// end frees the place of a job, after a pause if there is one, and wakes the
// queue. Only after a pause is the queue read again: the job still stands in it.
// Until then it is not begun again, whoever wakes the queue: each of its ends would
// wake it once more.
func (q *queueState) end(j id, pause time.Duration) {
	if pause > 0 {
		time.AfterFunc(pause, func() { q.unread.Store(true); q.end(j, 0) })
		return
	}
	q.mu.Lock()
	delete(q.busy, j)
	q.mu.Unlock()
	q.stir()
}

// rest makes the queue wait, and then try one job at a time until the relay is
// met: one that refuses our login would lock the account if each mail tried anew.
func (q *queueState) rest(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wary = true
	if until := time.Now().Add(d); until.After(q.until) {
		q.until = until
	}
}

// miss makes the queue wait where no relay was found, for longer each time. It
// does nothing if the queue rests already, as for all that were under way, and
// nothing if mails are taken: the relay only limits our connections. All workers
// go on afterwards: one alone would look up logins without an account, and find
// out nothing about the relay.
func (q *queueState) miss(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Before(q.until) || now.Sub(q.taken) < firstRest {
		return
	}
	q.until = now.Add(min(firstRest<<min(q.unmet, 16), longestRest))
	q.unmet++
}

// met notes that the relay has let us in, whatever it said to the mail. A rest
// after a miss ends: the relay only limits our connections.
func (q *queueState) met() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.unmet > 0 {
		q.until = time.Time{}
	}
	q.wary, q.unmet = false, 0
}

// wakeUp ends a rest: the operator has mended what was wrong.
func (q *queueState) wakeUp() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.until, q.unmet = time.Time{}, 0
}

// trust notes that the relay took a mail.
func (q *queueState) trust(now time.Time) {
	q.met()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refusals, q.taken, q.failed = 0, now, time.Time{}
}

// fail notes that the relay took no mail, whatever the reason.
func (q *queueState) fail(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed = now
}

// mailIsDown reports whether the last mail was not taken, not long ago.
func (q *queueState) mailIsDown(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.failed.IsZero() && now.Sub(q.failed) < mailDownFor
}

// refused counts a mail that was refused for good and returns how many were
// since the last one that was taken.
func (q *queueState) refused() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refusals++
	return q.refusals
}

// room returns how many more jobs may be started.
func (q *queueState) room() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wary {
		return 1 - len(q.busy)
	}
	return maxWorkers - len(q.busy)
}

func (q *queueState) resting() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return time.Until(q.until)
}

func (s *Site) queue(k jobKind) *queueState { return s.queues[k] }

// newJob fills in what all jobs have.
func (s *Site) newJob(k jobKind, now time.Time, reference string) job {
	return job{
		ID: newID(now), Kind: k.String(), Site: s.config.ID, Reference: reference,
		Created: now.UnixMilli(), Deadline: now.Add(k.life()).UnixMilli(),
	}
}

// added tells the workers of a job that a transaction has stored.
func (s *Site) added(k jobKind) {
	q := s.queue(k)
	q.count.Add(1)
	q.poke()
}

// full reports whether the queue takes no more for now.
func (s *Site) full(k jobKind) bool { return s.queue(k).count.Load() >= maxQueuedJob }

// mayLease reports whether the lease that a due job carries is over.
func (s *Site) mayLease(k jobKind, j job) bool {
	if j.Holder == "" || j.Holder == s.svc.shared.holder || s.svc.exclusive {
		return true
	}
	return s.svc.shared.foreign.unchangedFor(string(j.ID[:]), j.Holder, s.leaseLength(k))
}

// recoverQueues counts what waits and, where no other process can have the
// store open, frees what an earlier one had leased when it died.
func (s *Service) recoverQueues(ctx context.Context) error {
	for _, site := range s.sites {
		for _, k := range jobKinds {
			if err := site.recoverQueue(ctx, k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Site) recoverQueue(ctx context.Context, k jobKind) error {
	total := int64(0)
	var dead []*heldJob
	err := s.eachRow(ctx, k, func(row kv.Pair) bool {
		total++
		// One that cannot be read is set aside with an alarm when it comes due.
		if h, err := readJob(k, row); err == nil && h.isDead(s) {
			dead = append(dead, h)
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, h := range dead {
		if err := s.postpone(ctx, h, 0, nil); err != nil && !errors.Is(err, errStale) {
			return err
		}
	}
	s.queue(k).count.Store(total)
	return nil
}

// isDead reports whether the job is leased to a process that is no more.
func (h *heldJob) isDead(s *Site) bool {
	return s.svc.exclusive && h.Holder != "" && h.Holder != s.svc.shared.holder
}

// rowPage is how many rows of a queue are read into memory at once.
const rowPage = 500

// eachRow calls fn, which must not write, for the rows of a queue in the order in
// which they come due, until it returns false. All are of one moment: a job that is
// moved to an earlier time between two looks would be in neither of them.
func (s *Site) eachRow(ctx context.Context, k jobKind, fn func(kv.Pair) bool) error {
	from := s.queuePrefix(k)
	end := after(from)
	return s.svc.store.View(ctx, func(r kv.Reader) error {
		for {
			rows, err := r.Scan(from, end, rowPage)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if !fn(row) {
					return nil
				}
			}
			if len(rows) < rowPage {
				return nil
			}
			from = append(rows[len(rows)-1].Key, 0)
		}
	})
}
