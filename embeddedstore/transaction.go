package embeddedstore

import (
	"errors"
	"reflect"
	"sync"

	"go.etcd.io/bbolt"
)

// view is bbolt's View, but for what follows a panic of begin.
func (s *Store) view(fn func(*bbolt.Tx) error) error {
	tx, err := s.begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return fn(tx)
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
// one. A reading transaction keeps the locks for that then, so that all others
// would wait for ever, to begin and to end.
func (s *Store) begin(writable bool) (tx *bbolt.Tx, err error) {
	err = guard(func() (err error) {
		tx, err = s.db.Begin(writable)
		return err
	})
	if errors.Is(err, ErrDamaged) {
		s.breakDown(err)
		if !writable {
			unlock(s.db)
		}
		return nil, *s.broken.Load()
	}
	return tx, err
}

// unlock gives back what a reading transaction of bbolt had locked when it
// panicked, for which bbolt has no function. The fields are those of v1.5.0:
// TestEmptiedWhileBusy tells if another one has them no more.
func unlock(db *bbolt.DB) {
	fields := reflect.ValueOf(db).Elem()
	mapping(db).RUnlock()
	(*sync.Mutex)(fields.FieldByName("metalock").Addr().UnsafePointer()).Unlock()
}

// grows reports whether the writer waits for reading transactions to end, since
// the file has outgrown its mapping. All that want to begin wait behind it.
func (s *Store) grows() bool {
	lock := mapping(s.db)
	if !lock.TryRLock() {
		return true
	}
	lock.RUnlock()
	return false
}

// mapping is the lock that reading transactions hold against the mapping being
// replaced.
func mapping(db *bbolt.DB) *sync.RWMutex {
	return (*sync.RWMutex)(reflect.ValueOf(db).Elem().FieldByName("mmaplock").Addr().UnsafePointer())
}
