package embeddedstore

import (
	"errors"

	"go.etcd.io/bbolt"
)

// view is bbolt's View, but for what follows a panic of begin.
func (s *Store) view(fn func(*bbolt.Tx) error) error {
	tx, err := s.beginReading()
	if err != nil {
		return err
	}
	defer func() {
		// The locks that ending takes may be held for ever; see begin.
		if s.broken.Load() == nil {
			_ = tx.Rollback()
		}
	}()
	return fn(tx)
}

// beginReading begins one transaction at a time, as bbolt does: those that come
// while one panics must find out before they wait for its locks.
func (s *Store) beginReading() (*bbolt.Tx, error) {
	s.beginning.Lock()
	defer s.beginning.Unlock()
	if err := s.broken.Load(); err != nil {
		return nil, *err
	}
	return s.begin(false)
}

// transact is bbolt's Update, but for what follows a panic. That one makes up
// its list of free pages anew then: without one in the file, it visits all pages
// in use, in a goroutine where the same damaged page ends the process. Before
// the commit there is no need to, since nothing has been allocated yet. After a
// panic out of the commit itself, the transaction stays open, and the store has
// to be taken out of use.
func (s *Store) transact(fn func(*bbolt.Tx) error) error {
	tx, err := s.begin(true)
	if err != nil {
		return err
	}
	committing := false
	defer func() {
		if !committing {
			_ = tx.Rollback()
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	committing = true
	s.sentry.onDuty.Store(true)
	defer s.sentry.onDuty.Store(false)
	return tx.Commit()
}

// begin is bbolt's Begin, but for what follows a panic. bbolt reads the meta
// pages first, which are not there while somebody copies a file over the open
// one. It keeps its locks then, so that whoever came next would wait for ever.
func (s *Store) begin(writable bool) (tx *bbolt.Tx, err error) {
	err = guard(func() (err error) {
		tx, err = s.db.Begin(writable)
		return err
	})
	if errors.Is(err, ErrDamaged) {
		s.breakDown(err)
		return nil, *s.broken.Load()
	}
	return tx, err
}
