package reset

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

// A flight is an attempt to apply a change that is under way in this process.
// Whoever submitted the password, and whoever submits the same token again,
// waits for it.
type flight struct {
	done     chan struct{}
	password string // as typed; "" if only its hash is known here
	receipt  receipt

	mu      sync.Mutex
	waiting int
	decided bool // the outcome is known and is being stored
	result  Result
}

// flights are the attempts under way, by change.
type flights struct {
	mu      sync.Mutex
	running map[id]*flight
}

// begin announces an attempt before its lease is taken. It returns nil if one
// for this change is under way.
func (f *flights) begin(change id, password string) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running[change] != nil {
		return nil
	}
	fl := &flight{done: make(chan struct{}), password: password, result: Result{Status: StatusPending}}
	f.running[change] = fl
	return fl
}

// end forgets the attempt and lets everybody who waits go.
func (f *flights) end(change id) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl := f.running[change]; fl != nil {
		close(fl.done)
		delete(f.running, change)
	}
}

func (f *flights) get(change id) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running[change]
}

// A receipt names a token together with the password that was set with it, at
// one site.
type receipt [sha256.Size]byte

func (s *Site) newReceipt(t token, typed string) receipt {
	site := sha256.Sum256([]byte(s.config.ID)) // of one length: nothing runs together
	return sha256.Sum256(slices.Concat(site[:], t.grant[:], t.verifier[:], []byte(typed)))
}

// receipts are of the changes that were applied not long ago, so that the
// second half of a double click that comes too late for the flight is told the
// same and not that its link is dead.
type receipts struct {
	mu   sync.Mutex
	when map[receipt]time.Time
}

const (
	receiptLife = 10 * time.Second
	maxReceipts = 1_000
)

func (r *receipts) add(of receipt, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.when) >= maxReceipts {
		clear(r.when) // a bound for the memory: somebody is told that the link is dead
	}
	r.when[of] = now
}

func (r *receipts) has(of receipt, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	when, ok := r.when[of]
	return ok && now.Sub(when) < receiptLife
}

// join counts one more person who waits. It is called before the outcome can
// be known, or answers that it is too late.
func (f *flight) join() {
	f.mu.Lock()
	f.waiting++
	f.mu.Unlock()
}

// decide is called when the outcome is known and before it is stored. It
// reports whether somebody waits and will be told; if not, a notice must tell
// them. Those who wait now wait until it is stored.
func (f *flight) decide() (attended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.decided = true
	return f.waiting > 0
}

// settle sets what those who wait are told.
func (f *flight) settle(r Result) {
	f.mu.Lock()
	f.result = r
	f.mu.Unlock()
}

// wait returns the outcome, or "pending" when it takes too long or ctx ends.
func (f *flight) wait(ctx context.Context) Result {
	timer := time.NewTimer(personWaits)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
		if f.leave() {
			return Result{Status: StatusPending}
		}
		<-f.done
	case <-ctx.Done():
		if f.leave() {
			return Result{Status: StatusPending}
		}
		<-f.done
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.result
}

// leave gives up waiting. It reports false if the outcome is already being
// stored for somebody who waits: then it must be taken.
func (f *flight) leave() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.decided {
		return false
	}
	f.waiting--
	return true
}
