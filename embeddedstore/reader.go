package embeddedstore

import (
	"bytes"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

var errEnded = errors.New("transaction has ended")

// A reader reads one bbolt transaction. What bbolt returns points into the
// mapping of the file and is copied.
type reader struct {
	bucket *bbolt.Bucket // nil once the transaction has ended
	path   string        // of the file, for errors
}

// read begins to read the rows. Where the way to them is damaged, bbolt panics or
// finds none.
func (s *Store) read(tx *bbolt.Tx) (*reader, error) {
	rows := tx.Bucket(bucket)
	if rows == nil {
		return nil, fmt.Errorf("%w: the way to its rows is cut off", ErrDamaged)
	}
	return &reader{bucket: rows, path: s.path}, nil
}

// Get implements kv.Reader.
func (r *reader) Get(key []byte) (value []byte, err error) {
	value, err = r.peek(key)
	return bytes.Clone(value), err
}

// Scan implements kv.Reader.
func (r *reader) Scan(start, end []byte, limit int) (rows []kv.Pair, err error) {
	err = r.guard(func() {
		if limit <= 0 {
			return
		}
		c := r.bucket.Cursor()
		for k, v := c.Seek(start); k != nil && len(rows) < limit; k, v = c.Next() {
			if end != nil && bytes.Compare(k, end) >= 0 {
				return
			}
			mustFit(k, v)
			rows = append(rows, kv.Pair{Key: bytes.Clone(k), Value: bytes.Clone(v)})
		}
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// peek is Get without the copy, for a kv.Overlay.
func (r *reader) peek(key []byte) (value []byte, err error) {
	err = r.guard(func() {
		value = r.bucket.Get(key)
		mustFit(nil, value)
	})
	return value, err
}

// guard confines a damaged page to the read that met it.
func (r *reader) guard(read func()) error {
	if r.bucket == nil {
		return errEnded
	}
	err := guard(func() error { read(); return nil })
	if err != nil {
		return fmt.Errorf("reading store %s: %w", r.path, err)
	}
	return nil
}

// mustFit panics like bbolt if a row is larger than any that was stored:
// copying what a damaged page gives as its size could take all memory.
func mustFit(key, value []byte) {
	if len(key) > kv.MaxKey || len(value) > kv.MaxValue {
		panic("row beyond the bounds of a row")
	}
}

var _ kv.Reader = (*reader)(nil)
