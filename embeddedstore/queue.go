package embeddedstore

import (
	"slices"
	"sync"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// An update waits in the queue for its turn, then in a batch for its commit.
type update struct {
	fn     func(kv.Tx) error
	yields bool       // see [kv.Yielding]
	result chan error // has room for the one result

	ran chan struct{} // set when taken; closed when fn has run
	err error         // what fn made of it, until the commit has returned
}

// A queue holds the updates whose turn has not come, in order of arrival.
type queue struct {
	wake chan struct{} // has a token if something may have changed

	mu       sync.Mutex
	urgent   []*update // that somebody waits for
	yielding []*update
	closed   bool
}

// push appends u, unless the queue is closed.
func (q *queue) push(u *update) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	line := q.line(u)
	*line = append(*line, u)
	q.poke()
	return true
}

// A turn says which updates a pop may take.
type turn int

const (
	urgentOnly turn = iota
	urgentFirst
	yieldingFirst
)

// pop takes the next update, if there is one whose turn it is; ran will be closed
// when its closure has run.
func (q *queue) pop(t turn, ran chan struct{}) *update {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := &q.urgent
	if len(q.yielding) > 0 && (t == yieldingFirst || t == urgentFirst && len(q.urgent) == 0) {
		line = &q.yielding
	}
	if len(*line) == 0 {
		return nil
	}
	u := (*line)[0]
	(*line)[0] = nil
	*line = (*line)[1:]
	u.ran = ran
	return u
}

// withdraw takes u back. If its turn has come already, it returns the channel
// that tells when its closure has run.
func (q *queue) withdraw(u *update) (ran chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if u.ran == nil {
		line := q.line(u)
		i := slices.Index(*line, u)
		*line = slices.Delete(*line, i, i+1)
	}
	return u.ran
}

// state returns how many updates wait, and whether more can come.
func (q *queue) state() (waiting int, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.urgent) + len(q.yielding), q.closed
}

// yields reports whether an update that yields waits.
func (q *queue) yields() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.yielding) > 0
}

// close lets no further update in.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.poke()
}

func (q *queue) line(u *update) *[]*update {
	if u.yields {
		return &q.yielding
	}
	return &q.urgent
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
