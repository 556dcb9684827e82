package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

var errClosed = errors.New("store is closed")

// A MemStore is a kv.Store in memory, for tests: true to the contract, but
// for durability. It starts no goroutine and so works inside a
// testing/synctest bubble.
type MemStore struct {
	writer sync.Mutex // held by Update, so that closures run one after the other

	mu     sync.Mutex
	rows   []kv.Pair // in order of their keys
	shared bool      // a View has seen this slice: copy it before changing it
	closed bool
}

// Memory returns an empty store in memory.
func Memory() *MemStore {
	return &MemStore{}
}

// View implements kv.Store.
func (s *MemStore) View(ctx context.Context, fn func(kv.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	rows, closed := s.rows, s.closed
	s.shared = true
	s.mu.Unlock()
	if closed {
		return errClosed
	}
	return kv.Guard(func() error { return fn(memReader(rows)) })
}

// Update implements kv.Store.
func (s *MemStore) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", kv.ErrUnknown, err)
	}
	s.writer.Lock()
	defer s.writer.Unlock()

	s.mu.Lock()
	rows, closed := s.rows, s.closed
	s.mu.Unlock()
	if closed {
		return fmt.Errorf("%w: %w", kv.ErrUnknown, errClosed)
	}

	o := kv.NewOverlay(memReader(rows).Get)
	if err := o.Run(fn); err != nil {
		return err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	for key, value := range o.Writes() {
		s.set(key, value)
	}
	return nil
}

// Close implements kv.Store. It waits for a running Update.
func (s *MemStore) Close() error {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Copy returns an open store with the same rows, which goes its own way from
// here: a restart, if this one is closed, or a backup to be restored later.
func (s *MemStore) Copy() *MemStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &MemStore{rows: slices.Clone(s.rows)}
}

// Len returns the number of rows.
func (s *MemStore) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rows)
}

// set stores value under key, or removes key if value is nil.
func (s *MemStore) set(key, value []byte) {
	if s.shared {
		s.rows, s.shared = slices.Clone(s.rows), false
	}
	i, found := memReader(s.rows).find(key)
	switch {
	case found && value == nil:
		s.rows = slices.Delete(s.rows, i, i+1)
	case found:
		s.rows[i].Value = value
	case value != nil:
		s.rows = slices.Insert(s.rows, i, kv.Pair{Key: key, Value: value})
	}
}

// A memReader is a snapshot: rows in order of their keys that nobody changes.
type memReader []kv.Pair

// Get implements kv.Reader.
func (r memReader) Get(key []byte) ([]byte, error) {
	if i, found := r.find(key); found {
		return bytes.Clone(r[i].Value), nil
	}
	return nil, nil
}

// Scan implements kv.Reader.
func (r memReader) Scan(start, end []byte, limit int) ([]kv.Pair, error) {
	var out []kv.Pair
	i, _ := r.find(start)
	for ; i < len(r) && len(out) < limit; i++ {
		if end != nil && bytes.Compare(r[i].Key, end) >= 0 {
			break
		}
		out = append(out, kv.Pair{Key: bytes.Clone(r[i].Key), Value: bytes.Clone(r[i].Value)})
	}
	return out, nil
}

func (r memReader) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(r, key, func(p kv.Pair, key []byte) int {
		return bytes.Compare(p.Key, key)
	})
}

var (
	_ kv.Store  = (*MemStore)(nil)
	_ kv.Reader = memReader(nil)
)
