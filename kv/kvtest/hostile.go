package kvtest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// Default rates of [Faults]: high enough that a test of some hundred updates
// meets each of them many times.
const (
	defaultRate = 8
	graves      = 64 // how many deleted rows a HostileStore remembers
	hauntings   = 16 // how often it shows each of them
)

// Faults says how often a [HostileStore] does what the contract of kv.Store
// permits and a friendly engine never does. A rate of n means about once in n
// times: 1 is always, 0 is the default of 8, a negative rate is never.
type Faults struct {
	// Seed makes a run repeatable: the same calls in the same order meet the
	// same faults.
	Seed uint64

	// Done is the rate of updates that are stored and then answered with
	// kv.ErrUnknown.
	Done int

	// Lost is the rate of updates that are not stored and answered with
	// kv.ErrUnknown, also if the closure had refused.
	Lost int

	// Rerun is the rate of updates whose closure runs once more before the run
	// that counts; 0 is 1, always. The first run's writes and result are
	// thrown away.
	Rerun int

	// Phantom is the rate of rows of a Scan that are followed by one that does
	// not exist, or does no longer. One that is no more is shown 16 times at most.
	Phantom int
}

// A HostileStore is a kv.Store that uses all the liberties the contract gives
// to an engine, so that code which relies on more is found out.
type HostileStore struct {
	inner  kv.Store
	faults Faults

	mu   sync.Mutex
	rand *rand.Rand
	calm bool
	dead []grave // rows deleted or replaced, as phantoms
}

// A grave is a row that is no more, and how often it has been shown since.
type grave struct {
	kv.Pair
	shown int
}

// Hostile wraps inner with the default rates of [Faults].
func Hostile(inner kv.Store, seed uint64) *HostileStore {
	return Faults{Seed: seed}.Wrap(inner)
}

// Wrap returns a store around inner with these faults.
func (f Faults) Wrap(inner kv.Store) *HostileStore {
	for _, rate := range []*int{&f.Done, &f.Lost, &f.Phantom} {
		if *rate == 0 {
			*rate = defaultRate
		}
	}
	if f.Rerun == 0 {
		f.Rerun = 1
	}
	return &HostileStore{inner: inner, faults: f, rand: rand.New(rand.NewPCG(f.Seed, 0))}
}

// Calm ends the faults, so that a test can look at what is left.
func (s *HostileStore) Calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calm = true
}

// View implements kv.Store.
func (s *HostileStore) View(ctx context.Context, fn func(kv.Reader) error) error {
	return s.inner.View(ctx, func(r kv.Reader) error {
		return fn(&hostileReader{Reader: r, store: s})
	})
}

// Update implements kv.Store.
func (s *HostileStore) Update(ctx context.Context, fn func(kv.Tx) error) error {
	rerun, lost, done := s.strikes(s.faults.Rerun), s.strikes(s.faults.Lost), s.strikes(s.faults.Done)

	if rerun || lost {
		// Over a snapshot, as in an engine that finds out about a conflict
		// only at the commit: what the second run reads may differ.
		err := s.inner.View(ctx, func(r kv.Reader) error {
			_ = kv.NewOverlay(r.Get).Run(fn)
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: %w", kv.ErrUnknown, err)
		}
	}
	if lost {
		return fmt.Errorf("%w: hostile store: not stored", kv.ErrUnknown)
	}

	var dead []grave
	err := s.inner.Update(ctx, func(tx kv.Tx) error {
		o := kv.NewOverlay(tx.Get)
		if err := o.Run(fn); err != nil {
			return err
		}
		dead = dead[:0]
		for key, value := range o.Writes() {
			old, err := tx.Get(key)
			if err != nil {
				return err
			}
			if old != nil {
				dead = append(dead, grave{Pair: kv.Pair{Key: key, Value: old}})
			}
			if value == nil {
				err = tx.Delete(key)
			} else {
				err = tx.Put(key, value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.bury(dead)
	if done {
		return fmt.Errorf("%w: hostile store: stored", kv.ErrUnknown)
	}
	return nil
}

// Close implements kv.Store.
func (s *HostileStore) Close() error {
	return s.inner.Close()
}

// strikes reports whether a fault of this rate happens now.
func (s *HostileStore) strikes(rate int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strikesLocked(rate)
}

// strikesLocked is strikes for one who holds the lock.
func (s *HostileStore) strikesLocked(rate int) bool {
	return !s.calm && rate >= 0 && s.rand.IntN(rate) == 0
}

func (s *HostileStore) bury(rows []grave) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = append(s.dead, rows...)
	if n := len(s.dead); n > graves {
		s.dead = slices.Delete(s.dead, 0, n-graves)
	}
}

// phantoms returns some of the rows in [start, end) that once were. Each is shown
// a few times only, as an engine that lags behind catches up in the end: a queue
// that is read again for each would be read all day while a full disk lets none
// take its place.
func (s *HostileStore) phantoms(start, end []byte) []kv.Pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []kv.Pair
	for i := range s.dead {
		p := &s.dead[i]
		if bytes.Compare(p.Key, start) < 0 || end != nil && bytes.Compare(p.Key, end) >= 0 || !s.strikesLocked(s.faults.Phantom) {
			continue
		}
		p.shown++
		out = append(out, kv.Pair{Key: bytes.Clone(p.Key), Value: bytes.Clone(p.Value)})
	}
	s.dead = slices.DeleteFunc(s.dead, func(p grave) bool { return p.shown >= hauntings })
	return out
}

// A hostileReader adds phantoms to what Scan finds. Get tells the truth.
type hostileReader struct {
	kv.Reader
	store *HostileStore
}

// Scan implements kv.Reader.
func (r *hostileReader) Scan(start, end []byte, limit int) ([]kv.Pair, error) {
	rows, err := r.Reader.Scan(start, end, limit)
	if err != nil {
		return nil, err
	}
	var ghosts []kv.Pair
	for _, p := range rows {
		if r.store.strikes(r.store.faults.Phantom) {
			// The value of a row that is there, under a key that is not: it
			// decodes, and only the Get inside an Update tells.
			key := append(bytes.Clone(p.Key), 0)
			if end == nil || bytes.Compare(key, end) < 0 {
				ghosts = append(ghosts, kv.Pair{Key: key, Value: bytes.Clone(p.Value)})
			}
		}
	}
	return haunt(rows, append(ghosts, r.store.phantoms(start, end)...), limit), nil
}

// haunt merges ghosts into rows, in order, one row for a key, at most limit.
// A ghost of a key that has a row takes its place: a row as it was once.
func haunt(rows, ghosts []kv.Pair, limit int) []kv.Pair {
	all := slices.Concat(rows, ghosts)
	slices.SortStableFunc(all, func(a, b kv.Pair) int { return bytes.Compare(a.Key, b.Key) })
	var out []kv.Pair
	for _, p := range all {
		if n := len(out); n > 0 && bytes.Equal(out[n-1].Key, p.Key) {
			out[n-1] = p
			continue
		}
		out = append(out, p)
	}
	return out[:min(len(out), max(limit, 0))]
}

var _ kv.Store = (*HostileStore)(nil)
