package reset

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

const (
	// maxWorkers bounds what one queue has in flight.
	maxWorkers = 32
	// maxLine is how many jobs are read at once. It is more than there are workers,
	// since a job stands in its place until its worker has taken it.
	maxLine = 8 * maxWorkers
	// pollInterval is how often a queue is read for jobs that another process
	// has added, and idleInterval how often where there is no other.
	pollInterval = time.Second
	idleInterval = 30 * time.Second
	// stalePause is how soon a queue is read again after a job in it turned out
	// to be gone: a scan may show the same one at once.
	stalePause = 100 * time.Millisecond
	// faultPause is how soon a job is looked at again that met a fault of the
	// store: one whose row cannot be moved, on a full disk, or whose record cannot
	// be read, would keep a worker busy for ever.
	faultPause = time.Second
	// restAfterRefusal is how long a queue rests when the relay refuses our
	// login.
	restAfterRefusal = 30 * time.Second
)

// work runs one queue until ctx ends: it takes what is due, in order, and
// runs it beside the others.
func (s *Site) work(ctx context.Context, k jobKind) {
	q := s.queue(k)
	var line []kv.Pair
	for ctx.Err() == nil {
		var wait time.Duration
		line, wait = s.dispatch(ctx, k, q, line)
		timer := time.NewTimer(min(wait, s.svc.poll()))
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// dispatch starts jobs that are due and returns when to look again. line are
// those that were read before and not started; what is left of them is read
// anew only when they are used up.
func (s *Site) dispatch(ctx context.Context, k jobKind, q *queueState, line []kv.Pair) (left []kv.Pair, next time.Duration) {
	next = pollInterval
	defer s.svc.recovered(s.config.ID, "reading a queue")
	if rest := q.resting(); rest > 0 {
		return nil, rest
	}
	room := q.room()
	if room <= 0 {
		return line, idleInterval // a worker that ends wakes the queue
	}
	release, err := s.svc.hold()
	if err != nil {
		return nil, pollInterval
	}
	defer release()
	next = idleInterval
	for read := false; room > 0; line = line[1:] {
		if len(line) == 0 && !read {
			if line, next, err = s.lineUp(ctx, k, q); err != nil {
				if ctx.Err() == nil {
					s.svc.storeAlarm(s.config.ID, "reading the queue", err)
				}
				return nil, pollInterval
			}
			read = true
		}
		if len(line) == 0 {
			break
		}
		if s.start(ctx, k, q, line[0]) {
			room--
		}
	}
	return line, next
}

// lineUp reads what is due, and when the next job after that will be.
func (s *Site) lineUp(ctx context.Context, k jobKind, q *queueState) (due []kv.Pair, next time.Duration, err error) {
	now := time.Now()
	prefix, end := s.queuePrefix(k), s.queueKey(k, now.Add(time.Millisecond), id{})
	var later, astray []kv.Pair
	err = s.svc.store.View(ctx, func(r kv.Reader) (err error) {
		if due, err = r.Scan(prefix, end, maxLine); err != nil {
			return err
		}
		if later, err = r.Scan(end, after(prefix), 1); err != nil {
			return err
		}
		astray, err = r.Scan(s.queueKey(k, now.Add(longestWait), id{}), after(prefix), maxWorkers)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	for _, row := range astray {
		s.bringBack(ctx, k, q, row)
	}
	next = idleInterval
	if len(later) > 0 {
		next = max(dueOf(later[0].Key).Sub(now), 0)
	}
	return due, next, nil
}

// bringBack makes a job due that a clock which was ahead has put off: its time
// would come in days, or never, and its deadline as well.
func (s *Site) bringBack(ctx context.Context, k jobKind, q *queueState, row kv.Pair) {
	h, err := hold(k, row)
	if err != nil || !s.mayLease(k, h.job) ||
		s.svc.shared.flights.get(h.Change) != nil || !q.begin(h.ID) {
		return
	}
	pause := time.Duration(0)
	defer func() { q.end(h.ID, pause) }()
	now := time.Now()
	h.Created = min(h.Created, now.UnixMilli())
	h.Deadline = min(h.Deadline, now.Add(k.life()).UnixMilli())
	if err := s.postpone(ctx, h, 0, nil); err != nil {
		pause = faultPause
		if ctx.Err() == nil && !errors.Is(err, errStale) {
			s.svc.storeAlarm(s.config.ID, "reading the queue", err)
		}
	}
}

// poll is how long a queue may go unread.
func (s *Service) poll() time.Duration {
	if s.exclusive {
		return idleInterval
	}
	return pollInterval
}

// start runs one due job in a goroutine of its own, which goes on after ctx
// has ended.
func (s *Site) start(ctx context.Context, k jobKind, q *queueState, row kv.Pair) bool {
	var j job
	if err := json.Unmarshal(row.Value, &j); err != nil {
		s.setAside(ctx, row)
		return false
	}
	if !s.mayLease(k, j) || !q.begin(j.ID) {
		return false
	}
	release, err := s.svc.hold()
	if err != nil {
		q.end(j.ID, pollInterval)
		return false
	}
	s.svc.crew.start(func() {
		pause := time.Duration(0)
		defer func() { q.end(j.ID, pause) }()
		defer release()
		if k == jobMail && s.mailBudget(ctx) != nil {
			return // stopped before its turn; the job is still due
		}
		pause = s.run(context.WithoutCancel(ctx), k, row)
	})
	return true
}

// run makes one attempt at a job, and returns how long the queue may wait before
// it looks at the job again. A panic in an adapter ends the attempt and not the
// server; the job comes due again when its lease ends.
func (s *Site) run(ctx context.Context, k jobKind, row kv.Pair) (pause time.Duration) {
	pause = faultPause // after a panic
	defer s.svc.recovered(s.config.ID, "running a "+k.String()+" job")
	h, err := hold(k, row)
	switch {
	case err != nil:
	case k == jobChange:
		err = s.runChange(ctx, h)
	default:
		h.Attempt++
		h.Holder = s.svc.shared.holder
		ctx = kv.Yielding(ctx)
		attempt, cancel := context.WithTimeout(ctx, mailLease-leaseMargin)
		if k == jobMail {
			err = s.runMail(attempt, h)
		} else {
			err = s.runNotice(attempt, h)
		}
		cancel()
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errStale):
		return stalePause
	}
	s.svc.storeAlarm(s.config.ID, "running a "+k.String()+" job", err)
	return faultPause
}

// mailBudget waits for a place in the global mail rate. It is asked before the
// job is leased, for hits and misses alike.
func (s *Site) mailBudget(ctx context.Context) error {
	if s.svc.mails == nil {
		return nil
	}
	return s.svc.mails.Wait(ctx)
}

// setAside removes a row that cannot be read, so that it holds up no other.
func (s *Site) setAside(ctx context.Context, row kv.Pair) {
	s.svc.alarm(s.config.ID, "a job could not be read and was removed from the queue", errDamaged)
	err := s.svc.store.Update(ctx, func(tx kv.Tx) error {
		// Scans promise nothing: only what is really there is removed.
		b, err := tx.Get(row.Key)
		if err != nil || b == nil || json.Unmarshal(b, new(job)) == nil {
			return err
		}
		return tx.Delete(row.Key)
	})
	if err != nil && ctx.Err() == nil {
		s.svc.storeAlarm(s.config.ID, "removing a damaged job", err)
	}
}
