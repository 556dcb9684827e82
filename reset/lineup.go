package reset

import (
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// maxHeldBack bounds the memory of a lineup, with some 800 bytes each. Requests
// beyond it, and those with words of a caller, which are larger, are found in the
// queue when they come due there.
const maxHeldBack = 16_384

// A lineup holds back the requests that this process has accepted, each for a
// time that nobody can foretell, and then has them ready for a worker. Their rows
// stand in the queue in the order in which they came, so that each is written
// behind the last, and come due there a little later: for another process, or for
// this one after a crash.
type lineup struct {
	mu    sync.Mutex
	held  map[id]bool // those held back and those ready
	ready []kv.Pair
}

// add holds a job back for that long and then calls wake. It returns false if the
// job has to be found in the queue.
func (l *lineup) add(h *heldJob, wait time.Duration, wake func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.held) >= maxHeldBack || h.Words != nil {
		return false
	}
	l.held[h.ID] = true
	row := kv.Pair{Key: h.key, Value: h.value}
	time.AfterFunc(wait, func() {
		l.mu.Lock()
		l.ready = append(l.ready, row)
		l.mu.Unlock()
		wake()
	})
	return true
}

// take returns a job that is ready.
func (l *lineup) take() (row kv.Pair, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ready) == 0 {
		return row, false
	}
	row = l.ready[0]
	l.ready[0] = kv.Pair{}
	l.ready = l.ready[1:]
	delete(l.held, jobOf(row.Key))
	return row, true
}

// has reports whether a job that was found in the queue is held back or ready.
func (l *lineup) has(job id) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[job]
}

// any reports whether a job is ready.
func (l *lineup) any() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ready) > 0
}
