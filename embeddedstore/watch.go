package embeddedstore

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// watchInterval is how long a file may have been gone before it is noticed.
// Asking the file system at each call would cost more than most reads.
const watchInterval = time.Second

// A watch notices that the file at the path is no longer the one that is
// open: moved away, deleted, replaced by a backup, or truncated. Whatever is
// written then would be lost with the next restart, and a restored copy would
// be ignored.
type watch struct {
	next atomic.Int64 // when to look again, in nanoseconds since opened
	last atomic.Pointer[error]

	opened time.Time
	self   os.FileInfo // identity of the open file

	mu   sync.Mutex // held while looking
	size int64      // the largest size seen
}

func (w *watch) start(self os.FileInfo) {
	w.opened, w.self, w.size = time.Now(), self, self.Size()
	w.next.Store(int64(watchInterval))
}

// check returns an error if the file is gone, looking at most once in an
// interval.
func (w *watch) check(s *Store) error {
	now := int64(time.Since(w.opened))
	if now >= w.next.Load() && w.mu.TryLock() {
		err := w.look(s.path)
		was := w.last.Load()
		switch {
		case err != nil && was == nil:
			s.log.Error("store is out of reach", "path", s.path, "error", err)
		case err == nil && was != nil:
			s.log.Info("store is back", "path", s.path)
		}
		if err != nil {
			w.last.Store(&err)
		} else {
			w.last.Store(nil)
		}
		w.next.Store(now + int64(watchInterval))
		w.mu.Unlock()
	}
	if err := w.last.Load(); err != nil {
		return *err
	}
	return nil
}

func (w *watch) lookNow(path string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.look(path)
}

func (w *watch) look(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%w; put it back, or restart to go on with what is there: %w", ErrMissing, err)
	case !os.SameFile(info, w.self):
		return fmt.Errorf("%w: another file is at %s; restart to use that one", ErrMissing, path)
	case info.Size() < w.size:
		// bbolt never shrinks its file.
		return fmt.Errorf("%w: %s was truncated; restore it from a backup and restart", ErrDamaged, path)
	}
	w.size = info.Size()
	return nil
}
