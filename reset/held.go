package reset

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// A held job is one that this process works on: what is in it, and the row as
// this process found or left it. Whatever ends or moves it asks for that row.
type heldJob struct {
	job
	key, value []byte
	kind       jobKind
}

// readJob decodes the row of a job.
func readJob(k jobKind, row kv.Pair) (*heldJob, error) {
	h := &heldJob{key: row.Key, value: row.Value, kind: k}
	if err := json.Unmarshal(row.Value, &h.job); err != nil {
		return nil, errDamaged
	}
	return h, nil
}

// addJob queues a job within a transaction.
func (s *Site) addJob(tx kv.Tx, k jobKind, j job, due time.Time) error {
	_, err := s.place(tx, k, j, due)
	return err
}

// place is addJob for who holds the job from then on.
func (s *Site) place(tx kv.Tx, k jobKind, j job, due time.Time) (*heldJob, error) {
	h := &heldJob{job: j, key: s.queueKey(k, due, j.ID), kind: k}
	var err error
	if h.value, err = encodeRow(j, jobStep); err != nil {
		return nil, err
	}
	return h, tx.Put(h.key, h.value)
}

// holds checks within a transaction that the job is still where and as this
// process left it, so that a stale holder cannot act.
func (h *heldJob) holds(tx kv.Tx) error {
	b, err := tx.Get(h.key)
	if err == nil && !bytes.Equal(b, h.value) {
		err = errStale
	}
	return err
}

// whileHeld does what also does, if anything, within a transaction in which the
// job is still held.
func (h *heldJob) whileHeld(tx kv.Tx, also func(kv.Tx) error) error {
	if err := h.holds(tx); err != nil || also == nil {
		return err
	}
	return also(tx)
}

// remove ends the job within a transaction.
func (h *heldJob) remove(tx kv.Tx) error { return tx.Delete(h.key) }

// move puts the job, with what changed in it, to another time.
func (s *Site) move(tx kv.Tx, h *heldJob, j job, due time.Time) (*heldJob, error) {
	if err := tx.Delete(h.key); err != nil {
		return nil, err
	}
	return s.place(tx, h.kind, j, due)
}

// leaseJob takes a due job for one attempt, in one transaction with what also
// does. It returns errStale if somebody was quicker.
func (s *Site) leaseJob(ctx context.Context, h *heldJob, also func(kv.Tx) error) error {
	due := time.Now().Add(mailLease)
	var leased *heldJob
	err := s.svc.store.Update(ctx, func(tx kv.Tx) (err error) {
		if err := h.whileHeld(tx, also); err != nil {
			return err
		}
		leased, err = s.move(tx, h, h.job, due)
		return err
	})
	if err != nil {
		return err
	}
	s.svc.shared.foreign.forget(string(h.ID[:]))
	*h = *leased
	return nil
}

// finish ends the job: also does what must happen in the same transaction.
func (s *Site) finish(ctx context.Context, h *heldJob, also func(kv.Tx) error) error {
	err := s.persist(ctx, func(tx kv.Tx) error {
		if err := h.whileHeld(tx, also); err != nil {
			return err
		}
		return h.remove(tx)
	})
	if err == nil {
		s.queue(h.kind).count.Add(-1)
	}
	return err
}

// postpone gives the lease back and puts the job to a later time.
func (s *Site) postpone(ctx context.Context, h *heldJob, wait time.Duration, also func(kv.Tx) error) error {
	free := h.job
	free.Holder = ""
	due := time.Now().Add(wait)
	err := s.persist(ctx, func(tx kv.Tx) error {
		if err := h.whileHeld(tx, also); err != nil {
			return err
		}
		_, err := s.move(tx, h, free, due)
		return err
	})
	s.queue(h.kind).poke()
	return err
}

// persist stores an outcome. The outcome of an attempt is worth more than one
// try: if it is lost, the attempt is made again after the lease. It repeats
// only closures that check what they find.
func (s *Site) persist(ctx context.Context, fn func(kv.Tx) error) error {
	var err error
	for n := range 4 {
		if err = s.svc.store.Update(ctx, fn); err == nil || !errors.Is(err, kv.ErrUnknown) {
			if n > 0 && errors.Is(err, errStale) {
				return nil // an earlier try, answered with "unknown", had been stored
			}
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond << n):
		}
	}
	return err
}
