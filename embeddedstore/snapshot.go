package embeddedstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

const (
	// chunk is how much is copied at once, and so how long the writer may have
	// to wait for a snapshot: a millisecond.
	chunk = 1 << 20

	// snapshotAttempts is how often a snapshot gives way to the writer. The
	// mapping of a file doubles, or grows by a GiB, each time.
	snapshotAttempts = 20
)

var (
	errGivesWay = errors.New("the store grew while it was copied")

	// errOvertaken says that the state of a transaction is not in the file any
	// more: two commits came between its begin and its first read.
	errOvertaken = errors.New("the store was written twice in an instant")
)

// Export implements [kv.Exporter]. The state is first copied to a file beside
// the store, at the speed of the disk: a slow w must not hold it, since the
// store cannot use its free pages again while a state is held. There has to be
// room for that. When the file outgrows its mapping meanwhile the copy begins anew,
// so that nobody waits for it; docs/performance.md says what that costs.
//
// The copy is checked before its first byte is written to w, and an error that
// wraps [ErrDamaged] says that the store has a fault. Free pages in it are empty:
// what was deleted from the store is not in the copy.
func (s *Store) Export(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	if err := s.export(ctx, w, progress); err != nil {
		return fmt.Errorf("copying store %s: %w", s.path, err)
	}
	return nil
}

func (s *Store) export(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	if err := s.usable(); err != nil {
		return err
	}
	c, err := newCopy(ctx, s.path, func(f *os.File) error { return s.snapshot(ctx, f) })
	if err != nil {
		return err
	}
	defer c.Discard()
	return c.send(ctx, w, progress)
}

// snapshot writes the state of one moment to f.
func (s *Store) snapshot(ctx context.Context, f *os.File) error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var err error
	for range snapshotAttempts {
		committed := s.committed.Load()
		err = guard(func() error {
			return s.view(func(tx *bbolt.Tx) error {
				if int64(tx.ID()) < committed {
					return errOverwritten
				}
				return s.copyPages(ctx, tx, f)
			})
		})
		if !errors.Is(err, errGivesWay) && !errors.Is(err, errOvertaken) {
			return err
		}
	}
	return fmt.Errorf("%w, %d times; try again when less is written to it", err, snapshotAttempts)
}

// copyPages copies the file as tx sees it: pages that are in use by it are not
// written while it lasts.
func (s *Store) copyPages(ctx context.Context, tx *bbolt.Tx, f *os.File) error {
	meta, err := s.metaOf(tx)
	if err != nil {
		return err
	}
	size := tx.Size()
	buffer := make([]byte, chunk)
	for at := int64(0); at < size; at += int64(len(buffer)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.grows() {
			return errGivesWay
		}
		buffer = buffer[:min(chunk, size-at)]
		if _, err := s.file.ReadAt(buffer, at); err != nil {
			return fmt.Errorf("%w: reading it at %d: %w", ErrDamaged, at, err)
		}
		if at == 0 {
			// One of the two in the file is of another transaction, and either
			// may be just being written.
			for i := range 2 {
				page := buffer[i*s.pageSize : (i+1)*s.pageSize]
				clear(page[copy(page, meta):])
				binary.NativeEndian.PutUint64(page, uint64(i))
			}
		}
		if _, err := f.WriteAt(buffer, at); err != nil {
			return advise(err)
		}
		if s.duringSnapshot != nil {
			s.duringSnapshot()
		}
	}
	return nil
}

// metaOf returns the meta page of tx.
func (s *Store) metaOf(tx *bbolt.Tx) ([]byte, error) {
	found, err := states(s.file, s.pageSize)
	if err != nil {
		return nil, err
	}
	for _, state := range found {
		if state.tx == uint64(tx.ID()) {
			return state.page, nil
		}
	}
	return nil, errOvertaken
}

var _ kv.Exporter = (*Store)(nil)
