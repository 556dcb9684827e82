package embeddedstore

import (
	"slices"
	"sync"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// An update waits in the queue for its turn, then in a batch for its commit.
type update struct {
	fn     func(kv.Tx) error
	result chan error // has room for the one result

	ran chan struct{} // set when taken; closed when fn has run
	err error         // what fn made of it, until the commit has returned
}

// A queue holds the updates whose turn has not come, in order of arrival.
type queue struct {
	wake chan struct{} // has a token if something may have changed

	mu      sync.Mutex
	waiting []*update
	closed  bool
}

// push appends u, unless the queue is closed.
func (q *queue) push(u *update) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, u)
	q.poke()
	return true
}

// pop takes the first update; ran will be closed when its closure has run.
func (q *queue) pop(ran chan struct{}) *update {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil
	}
	u := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	u.ran = ran
	return u
}

// withdraw takes u back. If its turn has come already, it returns the channel
// that tells when its closure has run.
func (q *queue) withdraw(u *update) (ran chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if u.ran == nil {
		i := slices.Index(q.waiting, u)
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return u.ran
}

// state returns how many updates wait, and whether more can come.
func (q *queue) state() (waiting int, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), q.closed
}

// close lets no further update in.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.poke()
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
