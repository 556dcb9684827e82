package sealed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// verifyPage is how many records Verify reads in one View, which has to be
// short.
const verifyPage = 100

// Export implements [kv.Exporter], if the inner store does; otherwise the error
// wraps [errors.ErrUnsupported]. The copy is sealed as the store is, and opens
// with the same keys.
//
// With a Marker the store begins its next generation before the first byte of
// the copy leaves: whenever the copy is put back, after a crash of this very run
// too, it is known to be older.
func (s *Store) Export(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	inner, ok := s.inner.(kv.Exporter)
	if !ok {
		return fmt.Errorf("copying sealed store: %w", errors.ErrUnsupported)
	}
	return inner.Export(ctx, &ageing{w: w, age: func() error { return s.age(ctx) }}, progress)
}

// age begins the next generation.
func (s *Store) age(ctx context.Context) error {
	if s.marker == nil {
		return nil
	}
	s.keyring.Lock()
	defer s.keyring.Unlock()
	raised, _, err := s.raise(ctx)
	if err == nil {
		err = s.marker.SetGeneration(raised.generation)
	}
	if err != nil {
		return fmt.Errorf("noting that there is a copy of the store: %w", err)
	}
	return nil
}

// An ageing writer does something before it is first written to.
type ageing struct {
	w   io.Writer
	age func() error
}

func (a *ageing) Write(p []byte) (int, error) {
	if a.age != nil {
		if err := a.age(); err != nil {
			return 0, err
		}
		a.age = nil
	}
	return a.w.Write(p)
}

// A Viewer is the half of a [kv.Store] that changes nothing.
type Viewer interface {
	View(ctx context.Context, fn func(kv.Reader) error) error
}

// Verify makes sure that Open would take the store inside inner with these keys
// and that each of its records opens, and returns its generation for [Outdate].
// It changes nothing.
//
// The error wraps [ErrKey] or [ErrSentinel] as that of Open does, [ErrSentinel]
// also for a store that holds nothing, or [ErrDamaged] with how many records do
// not open.
func Verify(ctx context.Context, inner Viewer, keys [][]byte) (generation uint64, err error) {
	s := &Store{log: slog.New(slog.DiscardHandler), reported: map[[32]byte]bool{}}
	if s.secrets, err = peek(ctx, inner, keys); err != nil {
		return 0, err
	}
	if s.aead, err = chacha20poly1305.NewX(s.secrets.dataKey[:]); err != nil {
		return 0, err
	}
	records, damaged := 0, 0
	for from := []byte(nil); ; {
		var rows []kv.Pair
		err := inner.View(ctx, func(r kv.Reader) (err error) {
			rows, err = r.Scan(from, nil, verifyPage)
			return err
		})
		if err != nil {
			return 0, err
		}
		for _, row := range rows {
			if isSentinel(row.Key) {
				continue
			}
			records++
			if _, err := s.open(row.Key, row.Value); err != nil {
				damaged++
			}
		}
		if len(rows) < verifyPage {
			break
		}
		from = append(rows[len(rows)-1].Key, 0)
	}
	if damaged > 0 {
		return 0, fmt.Errorf("%w: %d of %d do not open", ErrDamaged, damaged, records)
	}
	return s.secrets.generation, nil
}

// Fits makes sure that Open would take the store inside inner with these keys.
// It changes nothing: the generation stays, and the store is not bound to the
// newest key.
//
// The error wraps [ErrKey] or [ErrSentinel] as that of Open does, [ErrSentinel]
// also for a store that holds nothing.
func Fits(ctx context.Context, inner Viewer, keys [][]byte) error {
	if _, err := peek(ctx, inner, keys); err != nil {
		return fmt.Errorf("looking at sealed store: %w", err)
	}
	return nil
}

// peek reads the sentinel.
func peek(ctx context.Context, inner Viewer, keys [][]byte) (s sentinel, err error) {
	masters, err := newMasterKeys(keys)
	if err != nil {
		return s, err
	}
	err = inner.View(ctx, func(r kv.Reader) error {
		data, err := r.Get(sentinelKey)
		if err != nil {
			return err
		}
		if data == nil {
			return fmt.Errorf("%w: it holds none", ErrSentinel)
		}
		s, _, err = openSentinel(data, masters)
		return err
	})
	return s, err
}

// Outdate makes sure that a store of that generation counts as an older copy
// when it is next opened with m: also where m has never seen it, as on a new
// machine. It must not be called for a store that is to be used as it is.
func Outdate(m Marker, generation uint64) error {
	seen, err := m.Generation()
	if err != nil || seen > generation {
		return err
	}
	return m.SetGeneration(generation + 1)
}

var _ kv.Exporter = (*Store)(nil)
