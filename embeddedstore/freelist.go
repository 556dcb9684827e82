package embeddedstore

import (
	"context"
	"io"
	"log"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// shortList is how many free pages are listed at every commit, whatever else. A
// thousand cost nothing that can be measured, and each further thousand about
// 15 µs and 8 KB. A flood of records that has expired leaves a million of them
// for good: listing those at every commit left one writer 42 updates/s of 2,100.
const shortList = 1000

// longList reports whether the list of free pages is too long to be written
// with the commit of tx. Without one, opening the file after a crash takes 4 µs
// for each page in use, more from a cold disk, since all of them have to be
// visited. While fewer are in use than free, some two hundred commits without
// the list have won that time. A store that is mostly in use keeps its list, and
// opens in a moment after a crash too. The last commit before Close always
// writes it.
func (s *Store) longList(tx *bbolt.Tx) bool {
	stats := s.db.Stats()
	free := int64(stats.FreePageN + stats.PendingPageN)
	return free > shortList && free > tx.Size()/int64(s.pageSize)/2
}

// A sentry is what bbolt logs to. Of a commit that fails, bbolt logs first and
// then rolls it back, which without a list in the file is the same visit of all
// pages. On a disk that is failing they may not even be readable: so the sentry
// visits them in between, in a way that survives that, and ends the commit if it
// has to.
type sentry struct {
	bbolt.Logger // to nobody
	store        *Store
	onDuty       atomic.Bool // during a commit, until it has been called
}

func newSentry(s *Store) *sentry {
	return &sentry{Logger: &bbolt.DefaultLogger{Logger: log.New(io.Discard, "", 0)}, store: s}
}

// Errorf implements bbolt.Logger. It panics if there must be no rollback.
func (y *sentry) Errorf(string, ...any) {
	if !y.onDuty.CompareAndSwap(true, false) {
		return
	}
	s := y.store
	if state, err := newest(s.file, s.pageSize); err == nil && state.freePages != noFreePages {
		return
	}
	if err := walk(context.Background(), s.file, s.pageSize); err != nil {
		panic(err) // out of the commit
	}
}
