package embeddedstore

import (
	"os"
	"time"
)

// Path returns the path that the store was opened with.
func (s *Store) Path() string { return s.path }

// Updates returns how many closures have run since the store was opened.
func (s *Store) Updates() uint64 { return s.updates.Load() }

// Commits returns how many transactions have been written and synced since the
// store was opened.
func (s *Store) Commits() uint64 { return s.commits.Load() }

// SetBeforeCommit has fn run when all closures of a batch have, before what
// they wrote is committed. It must be called before the first Update.
func (s *Store) SetBeforeCommit(fn func()) { s.beforeCommit = fn }

// SetDuringSnapshot has fn run after each part of a snapshot that was copied. It
// must be called while there is none.
func (s *Store) SetDuringSnapshot(fn func()) { s.duringSnapshot = fn }

// Grows reports whether the writer waits for reading transactions to end.
func (s *Store) Grows() bool { return s.grows() }

// SetCalm sets how long no commit may have failed before a fault counts as over.
// It must be called while no Update runs.
func (s *Store) SetCalm(d time.Duration) { s.calm = d }

// Waiting returns how many updates wait for their turn.
func (s *Store) Waiting() int {
	n, _ := s.queue.state()
	return n
}

// File returns the open file.
func (s *Store) File() *os.File { return s.file }

// LookNow has the next call look whether the file is still there.
func (s *Store) LookNow() { s.watch.next.Store(0) }

// Create makes an empty store at path, if there is none.
var Create = create

const MaxBatch = maxBatch
