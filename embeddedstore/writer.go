package embeddedstore

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// errNothing rolls a batch back that wrote nothing: a commit would cost a sync
// for no row.
var errNothing = errors.New("nothing to write")

// errExited is the result of a closure that ended its goroutine.
var errExited = errors.New("closure called runtime.Goexit")

// write is the goroutine that carries out all updates, batch after batch,
// until the queue is closed and empty.
func (s *Store) write() {
	debug.SetPanicOnFault(true)
	ended := false
	defer func() {
		if !ended {
			// A closure called runtime.Goexit, as the methods of testing.T do
			// that end a test. The updates of others go on.
			go s.write()
			return
		}
		close(s.closed)
	}()
	for s.wait() {
		s.commit()
	}
	if s.unlisted {
		s.ending = true
		s.commit()
	}
	ended = true
}

// wait returns when there is an update to carry out, or false if there will
// never be one.
func (s *Store) wait() bool {
	for {
		waiting, closed := s.queue.state()
		if waiting > 0 {
			s.linger.wait(&s.queue, waiting)
			return true
		}
		if closed {
			return false
		}
		<-s.queue.wake
	}
}

// commit carries out the updates that wait, as one transaction, and then
// tells each its result.
func (s *Store) commit() {
	started := time.Now()
	var batch []*update
	err := unknown(errExited)
	ran := make(chan struct{})
	defer func() {
		for _, u := range batch {
			if err != nil {
				u.err = err
			}
			u.result <- u.err
		}
		s.linger.learn(len(batch), time.Since(started))
	}()

	var running *bbolt.Tx
	reached := false // the rows
	failed := s.usable()
	if failed == nil {
		failed = guard(func() error {
			return s.transact(func(tx *bbolt.Tx) error {
				// A commit that failed may show in the file or not.
				if id := int64(tx.ID()); id <= s.committed.Load() || id > s.tried+1 {
					s.breakDown(errOverwritten)
					return *s.broken.Load()
				}
				running = tx
				r, err := s.read(tx)
				if err != nil {
					return err
				}
				reached = true
				wrote, err := s.run(r, ran, &batch)
				if err != nil {
					return err
				}
				// After a failed commit it is not known which state the disk
				// has. Nothing read from here on may get out before a commit
				// has settled that.
				if !wrote && s.commitErr == nil && !s.ending {
					return errNothing
				}
				s.db.NoFreelistSync = !s.ending && s.longList(tx)
				s.tried = int64(tx.ID())
				if s.beforeCommit != nil {
					s.beforeCommit()
				}
				return nil
			})
		})
	}
	if failed != nil && !reached {
		// No closure has run, and none will: a queue that cannot move must not
		// keep its callers.
		for u := s.queue.pop(urgentFirst, ran); u != nil; u = s.queue.pop(urgentFirst, ran) {
			batch = append(batch, u)
		}
		close(ran)
	}
	err = s.settle(failed, running, started)
}

// run runs the closures of a batch, each over the writes of those before it, and
// reports whether there is something to write. Updates that arrive meanwhile still
// get on.
func (s *Store) run(r *reader, ran chan struct{}, batch *[]*update) (wrote bool, err error) {
	defer close(ran)
	written, urgent, yielding := 0, 0, 0
	defer func() {
		s.owed = 0
		if yielding == 0 && s.queue.yields() {
			s.owed = urgent/yieldingShare + 1
		}
	}()
	// The last one may be as large as an update can be.
	for len(*batch) < maxBatch && written <= maxBatchBytes-kv.MaxBytes {
		t := urgentOnly
		switch {
		case yielding < s.owed:
			t = yieldingFirst
		case urgent == 0 || yielding <= urgent/yieldingShare:
			t = urgentFirst
		}
		u := s.queue.pop(t, ran)
		if u == nil {
			break
		}
		if u.yields {
			yielding++
		} else {
			urgent++
		}
		*batch = append(*batch, u)
		s.updates.Add(1)
		o := kv.NewOverlay(r.peek)
		if u.err = o.Run(u.fn); u.err != nil {
			continue
		}
		for key, value := range o.Writes() {
			if value == nil {
				err = r.bucket.Delete(key)
			} else {
				err = r.bucket.Put(key, value)
			}
			if err != nil {
				return false, err
			}
			wrote = true
			written += len(key) + len(value)
		}
	}
	return wrote, nil
}

// settle judges the end of a batch: it returns nil if the closures' own
// results count, and otherwise the result of all of them.
func (s *Store) settle(failed error, tx *bbolt.Tx, started time.Time) error {
	if errors.Is(failed, errNothing) {
		return nil
	}
	if tx != nil {
		if failed == nil {
			s.commits.Add(1)
			s.committed.Store(s.tried)
			s.unlisted = s.db.NoFreelistSync
			s.committing(time.Since(started))
		} else {
			failed = fmt.Errorf("writing store %s: %w", s.path, advise(failed))
			if tx.DB() != nil {
				s.breakDown(failed) // neither committed nor rolled back
			}
		}
		s.commitErr = failed
		s.report()
	}
	if failed != nil {
		return unknown(failed)
	}
	return nil
}

// calm is how long no commit may have failed before a fault counts as over. On
// a full disk, those that find free pages succeed between others that do not:
// two lines for each pair would fill it further.
const calm = 10 * time.Second

// report tells the operator when commits begin to fail, and when that is over.
func (s *Store) report() {
	switch {
	case s.commitErr != nil:
		if s.failedLast.IsZero() {
			s.log.Error("store cannot write; updates fail until it can", "path", s.path, "error", s.commitErr)
		}
		s.failedLast = time.Now()
	case !s.failedLast.IsZero() && time.Since(s.failedLast) >= s.calm:
		s.log.Info("store can write again", "path", s.path)
		s.failedLast = time.Time{}
	}
}

// A linger decides how long a batch waits for more updates. A lone writer
// never waits. Among several, those that were just answered come back a moment
// later; setting off without them costs them a whole commit. It raised the
// updates in one commit from 8 to 16 with 16 writers and from 38 to 61 with 64,
// and their rate by about a fifth on a disk that syncs in 0.2 ms.
type linger struct {
	batch    int           // size of the last batch
	duration time.Duration // of its commit
}

// wait waits until as many updates wait as were in the last batch, but not
// longer than an eighth of the last commit took.
func (l *linger) wait(q *queue, waiting int) {
	if l.batch < 2 || waiting >= l.batch {
		return
	}
	timer := time.NewTimer(l.duration / 8)
	defer timer.Stop()
	for {
		select {
		case <-q.wake:
			n, closed := q.state()
			if n >= l.batch || closed {
				return
			}
		case <-timer.C:
			return
		}
	}
}

func (l *linger) learn(batch int, duration time.Duration) {
	l.batch, l.duration = batch, duration
}
