package embeddedstore

import "os"

// SetBeforeCommit has fn run when all closures of a batch have, before what
// they wrote is committed. It must be called before the first Update.
func (s *Store) SetBeforeCommit(fn func()) { s.beforeCommit = fn }

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
