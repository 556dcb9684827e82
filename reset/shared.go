package reset

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"
)

// Shared is what all services on one store have in common within a process:
// the name under which they take leases, what is in flight, and the counters
// in memory. It outlives a reload, so that a reload resets no limit and no
// change is tried twice at once by the old and the new configuration.
type Shared struct {
	holder  string
	clients *clientLimiter
	logins  *loginSketch
	alarms  *alarmClock
	guesses *hourCount
	foreign *leaseWatch

	flights  *flights
	receipts *receipts
	openings *openings

	mu     sync.Mutex
	queues map[string]*queueState
}

// NewShared returns the state for one store in one process.
func NewShared() *Shared {
	holder := make([]byte, 8)
	rand.Read(holder)
	return &Shared{
		holder:  hex.EncodeToString(holder),
		clients: newClientLimiter(),
		logins:  newLoginSketch(),
		alarms:  &alarmClock{last: make(map[string]time.Time)},
		guesses: &hourCount{since: make(map[string]time.Time), n: make(map[string]int)},
		foreign: &leaseWatch{seen: make(map[string]sighting)},

		flights:  &flights{running: make(map[id]*flight)},
		receipts: &receipts{when: make(map[receipt]time.Time)},
		openings: &openings{first: make(map[id]time.Time)},

		queues: make(map[string]*queueState),
	}
}

// queue returns the state of the queue whose keys begin with prefix.
func (s *Shared) queue(prefix []byte) *queueState {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[string(prefix)]
	if q == nil {
		q = &queueState{wake: make(chan struct{}, 1), busy: make(map[id]bool), lineup: lineup{held: make(map[id]bool)}}
		s.queues[string(prefix)] = q
	}
	return q
}

// An alarmClock lets the same alarm through once a minute.
type alarmClock struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (c *alarmClock) due(what string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, seen := c.last[what]; seen && now.Sub(last) < time.Minute && !now.Before(last) {
		return false
	}
	if len(c.last) >= maxAlarms {
		clear(c.last) // a bound for the memory: some alarms come again too soon
	}
	c.last[what] = now
	return true
}

// An hourCount counts what happens to a site, from anew each hour.
type hourCount struct {
	mu    sync.Mutex
	since map[string]time.Time
	n     map[string]int
}

func (c *hourCount) count(site string, now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.since[site]) >= time.Hour {
		c.since[site], c.n[site] = now, 0
	}
	c.n[site]++
	return c.n[site]
}

// A leaseWatch judges leases of other processes. Their clocks may be wrong,
// so a lease ends when it was seen unchanged for its whole length by our own
// monotonic clock.
type leaseWatch struct {
	mu   sync.Mutex
	seen map[string]sighting
}

type sighting struct {
	mark  string
	since time.Time
}

// unchangedFor reports whether the thing named has carried the same mark at
// every look for at least d.
func (w *leaseWatch) unchangedFor(name, mark string, d time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	s, ok := w.seen[name]
	if !ok || s.mark != mark {
		if len(w.seen) >= maxSightings {
			// A bound for the memory; what is forgotten is only watched anew.
			clear(w.seen)
		}
		w.seen[name] = sighting{mark: mark, since: now}
		return false
	}
	return now.Sub(s.since) >= d
}

func (w *leaseWatch) forget(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.seen, name)
}

const (
	maxSightings = 10_000
	maxAlarms    = 1_000
)
