package reset

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

const (
	// maxWorkers bounds what one queue has in flight.
	maxWorkers = 32
	// maxLine is how many jobs are read at once. It is more than there are workers:
	// a scan also shows those that are running or held back.
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
	// firstRest is how long a queue rests when there is no relay. Each rest after
	// it is twice as long, up to longestRest.
	firstRest   = time.Second
	longestRest = 30 * time.Second
)

// work runs one queue until ctx ends: it takes what is due, in order, and
// runs it beside the others.
func (s *Site) work(ctx context.Context, k jobKind) {
	q := s.queue(k)
	// What this one has read, and a wake that it has heard, are lost to the next.
	defer q.poke()
	var r reading
	for ctx.Err() == nil {
		timer := time.NewTimer(s.dispatch(ctx, k, q, &r))
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// A reading is what was read of a queue.
type reading struct {
	at   time.Time
	line []kv.Pair // due, and not started
	next time.Time // when to read again, if nothing is added or moved before
}

// dispatch starts jobs that are due and returns when to look again. The queue is
// read when what was read before is used up; while requests are ready in memory, no
// more often than every pollInterval.
func (s *Site) dispatch(ctx context.Context, k jobKind, q *queueState, r *reading) (next time.Duration) {
	next = pollInterval
	defer s.svc.recovered(s.config.ID, "reading a queue")
	if rest := q.resting(); rest > 0 {
		return rest
	}
	room := q.room()
	if room <= 0 {
		return idleInterval // a worker that ends wakes the queue
	}
	release, err := s.svc.hold()
	if err != nil {
		return pollInterval
	}
	defer release()
	free := room
	unread := q.unread.Load() || time.Until(r.next) <= 0
	if len(r.line) == 0 && unread && (!q.lineup.any() || time.Since(r.at) >= pollInterval) {
		if err := s.read(ctx, k, q, r); err != nil {
			if ctx.Err() == nil {
				s.svc.storeAlarm(s.config.ID, "reading the queue", err)
			}
			return pollInterval
		}
	}
	for ; room > 0 && len(r.line) > 0; r.line = r.line[1:] {
		if s.start(ctx, k, q, r.line[0]) {
			room--
		}
	}
	for room > 0 {
		row, ok := q.lineup.take()
		if !ok {
			break
		}
		if s.start(ctx, k, q, row) {
			room--
		}
	}
	if room > 0 && q.unread.Load() {
		if room == free {
			return stalePause // all that was read is running or held back
		}
		return 0
	}
	return max(time.Until(r.next), 0)
}

// read reads what is due, and when the next job after that will be.
func (s *Site) read(ctx context.Context, k jobKind, q *queueState, r *reading) error {
	q.unread.Store(false)
	now := time.Now()
	soon := time.Millisecond // keys hold whole ones
	if k == jobMail && r.at.IsZero() && s.svc.exclusive {
		soon += headStart // of a process that is no more
	}
	prefix, end := s.queuePrefix(k), s.queueKey(k, now.Add(soon), id{})
	var due, later, astray []kv.Pair
	err := s.svc.store.View(ctx, func(tx kv.Reader) (err error) {
		if due, err = tx.Scan(prefix, end, maxLine); err != nil {
			return err
		}
		if later, err = tx.Scan(end, after(prefix), 1); err != nil {
			return err
		}
		astray, err = tx.Scan(s.queueKey(k, now.Add(longestWait), id{}), after(prefix), maxWorkers)
		return err
	})
	if err != nil {
		q.unread.Store(true)
		return err
	}
	if len(due) == maxLine {
		q.unread.Store(true)
	}
	due = slices.DeleteFunc(due, func(row kv.Pair) bool { return q.has(jobOf(row.Key)) })
	r.at, r.line, r.next = now, due, now.Add(s.svc.poll())
	if len(later) > 0 {
		if first := dueOf(later[0].Key); first.Before(r.next) {
			r.next = first
		}
	}
	for _, row := range astray {
		s.bringBack(ctx, k, q, row)
	}
	return nil
}

// bringBack makes a job due that a clock which was ahead has put off: its time
// would come in days, or never, and its deadline as well.
func (s *Site) bringBack(ctx context.Context, k jobKind, q *queueState, row kv.Pair) {
	h, err := readJob(k, row)
	if err != nil || !s.mayLease(k, h.job) ||
		s.svc.shared.flights.get(h.Change) != nil || q.lineup.has(h.ID) || !q.begin(h.ID) {
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
	h, err := readJob(k, row)
	if err != nil {
		s.setAside(ctx, row)
		return false
	}
	if !s.mayLease(k, h.job) || !q.begin(h.ID) {
		return false
	}
	release, err := s.svc.hold()
	if err != nil {
		q.end(h.ID, pollInterval)
		return false
	}
	s.svc.crew.start(func() {
		pause := time.Duration(0)
		defer func() { q.end(h.ID, pause) }()
		defer release()
		if k == jobMail && s.mailBudget(ctx) != nil {
			q.unread.Store(true)
			return // stopped before its turn; the job is still due
		}
		pause = s.run(context.WithoutCancel(ctx), h)
		if k == jobChange {
			q.unread.Store(true) // it may be due still, or in a moment
		}
	})
	return true
}

// run makes one attempt at a job, and returns how long the queue may wait before
// it looks at the job again. A panic in an adapter ends the attempt and not the
// server: a job that was leased comes due again when its lease ends, another after
// faultPause.
func (s *Site) run(ctx context.Context, h *heldJob) (pause time.Duration) {
	k := h.kind
	pause = faultPause // after a panic
	defer s.svc.recovered(s.config.ID, "running a "+k.String()+" job")
	var err error
	if k == jobChange {
		err = s.runChange(ctx, h)
	} else {
		h.Attempt++
		h.Holder = s.svc.shared.holder
		ctx = kv.Yielding(ctx) // nobody waits for it
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
		if err != nil || b == nil {
			return err
		}
		if _, err := readJob(kindOf(row.Key), kv.Pair{Key: row.Key, Value: b}); err == nil {
			return nil
		}
		return tx.Delete(row.Key)
	})
	if err != nil && ctx.Err() == nil {
		s.svc.storeAlarm(s.config.ID, "removing a damaged job", err)
	}
}
