package reset

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

const (
	sweepInterval = 30 * time.Second
	// sweepBatch keeps one transaction within the bounds of the store: eleven
	// keys for what one mint has written.
	sweepBatch = 9
	// inspectInterval is how often the queues are counted anew, and those of
	// sites that are not configured looked through.
	inspectInterval = 10 * time.Minute
)

// sweep removes what has expired until ctx ends. Nothing depends on it:
// expired rows are ignored wherever they are met.
func (s *Service) sweep(ctx context.Context) {
	inspected := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepInterval):
		}
		s.sweepAll(ctx)
		if time.Since(inspected) >= inspectInterval {
			inspected = time.Now()
			s.inspect(ctx)
		}
	}
}

// sweepAll removes what has expired by now.
func (s *Service) sweepAll(ctx context.Context) {
	defer s.recovered("", "removing expired rows")
	ctx = kv.Yielding(ctx)
	release, err := s.hold()
	if err != nil {
		return
	}
	defer release()
	for ctx.Err() == nil {
		begun := time.Now()
		more, err := s.sweepOnce(ctx)
		if err != nil && ctx.Err() == nil {
			s.storeAlarm("", "removing expired rows", err)
		}
		if !more || err != nil {
			return
		}
		// What was written together expires together, but is removed from all over
		// the store: without a rest between, a flood of yesterday would be most of
		// what the disk does today.
		select {
		case <-ctx.Done():
		case <-time.After(time.Since(begun)):
		}
	}
}

// inspect looks through all queues.
func (s *Service) inspect(ctx context.Context) {
	defer s.recovered("", "inspecting the queues")
	release, err := s.hold()
	if err != nil {
		return
	}
	defer release()
	s.sweepOrphans(ctx)
	if err := s.recoverQueues(ctx); err != nil && ctx.Err() == nil {
		s.storeAlarm("", "counting the queues", err)
	}
}

// sweepOnce removes one batch and reports whether there is more.
func (s *Service) sweepOnce(ctx context.Context) (more bool, err error) {
	// Clocks of other processes may be behind ours.
	now := time.Now().Add(-s.skew)
	var rows []kv.Pair
	err = s.store.View(ctx, func(r kv.Reader) (err error) {
		rows, err = r.Scan([]byte{tableExpiry}, expiryKey(now, nil), sweepBatch)
		return err
	})
	if err != nil || len(rows) == 0 {
		return false, err
	}
	err = s.store.Update(ctx, func(tx kv.Tx) error {
		for _, row := range rows {
			if err := tx.Delete(row.Key); err != nil {
				return err
			}
			if err := sweepRows(tx, listed(row), now); err != nil {
				return err
			}
		}
		return nil
	})
	return len(rows) == sweepBatch, err
}

// sweepRows removes the rows under keys that have expired, and lists the others
// for when they will have: together those that go together, under the first key
// again. Of what a mint has written that is its grant's, which no other has.
func sweepRows(tx kv.Tx, keys [][]byte, now time.Time) error {
	first := keys[0]
	later := make(map[time.Time][][]byte)
	for _, key := range keys {
		until := expiry(tx, key, now)
		if until.After(now) {
			until = until.Truncate(time.Minute)
			later[until] = append(later[until], key)
			continue
		}
		if err := tx.Delete(key); err != nil {
			return err
		}
	}
	for until, keys := range later {
		if err := putExpiry(tx, until, first, slices.DeleteFunc(keys, func(key []byte) bool { return bytes.Equal(key, first) })...); err != nil {
			return err
		}
	}
	return nil
}

// expiry returns when the row under key may go; the zero time if there is no
// such row.
func expiry(tx kv.Tx, key []byte, now time.Time) time.Time {
	// What cannot be read can perhaps be repaired: it is looked at again later,
	// and does not keep all others.
	later := now.Add(24 * time.Hour)
	b, err := tx.Get(key)
	if err != nil {
		return later // if it was the store's fault, the transaction fails too
	}
	if b == nil {
		return time.Time{}
	}
	switch key[0] {
	case tableAccount:
		var r record
		if json.Unmarshal(b, &r) != nil {
			return later
		}
		return r.until(now)
	case tableGrant:
		var g grantRow
		if json.Unmarshal(b, &g) != nil {
			return time.Time{}
		}
		return time.UnixMilli(g.Until)
	default:
		var l loginRow
		if json.Unmarshal(b, &l) != nil {
			return time.Time{}
		}
		var until int64
		for _, c := range l.Live {
			until = max(until, c.Expires, c.Until)
		}
		return time.UnixMilli(until)
	}
}

// sweepOrphans ends jobs of sites that are no longer configured, at their
// deadline: until then the site may come back.
func (s *Service) sweepOrphans(ctx context.Context) {
	from := []byte{tableQueue}
	for ctx.Err() == nil {
		var rows []kv.Pair
		err := s.store.View(ctx, func(r kv.Reader) (err error) {
			rows, err = r.Scan(from, []byte{tableQueue + 1}, 200)
			return err
		})
		if err != nil || len(rows) == 0 {
			return
		}
		for _, row := range rows {
			from = append(row.Key, 0)
			h, err := readJob(kindOf(row.Key), row)
			if err != nil {
				continue
			}
			if s.sites[h.Site] != nil {
				// Its own workers look after it: on to the next queue.
				from = after(row.Key[:queuePrefixSize])
				break
			}
			if time.Now().UnixMilli() >= h.Deadline {
				s.endOrphan(ctx, h)
			}
		}
	}
}

// endOrphan ends a job whose site is gone, and the password it carries.
func (s *Service) endOrphan(ctx context.Context, h *heldJob) {
	err := s.store.Update(ctx, func(tx kv.Tx) error {
		if err := h.holds(tx); err != nil {
			return err
		}
		if !h.Change.isZero() {
			now := time.Now()
			r, err := s.loadRecord(tx, h.Record, now)
			if err != nil {
				return err
			}
			if r.Change != nil && r.Change.ID == h.Change {
				r.Change = nil
				if err := r.put(tx, h.Record, now); err != nil {
					return err
				}
			}
		}
		return h.remove(tx)
	})
	if err == nil {
		s.alarm(h.Site, "a job of a site that is no longer configured has reached its deadline and was dropped", nil,
			"reference", h.Reference, "job", h.Kind)
	}
}
