package reset_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// app is a receiver that keeps the contract: it applies each change once and
// no older one after a newer.
type app struct {
	mu        sync.Mutex
	answer    func(reset.Change) *reset.Attempt // nil or returning nil: apply
	slow      time.Duration
	passwords map[string]string
	sequences map[string]int64
	applied   map[string]int // change id → times applied
	ids       []string       // of all attempts
	flying    map[string]int
	crowd     int // most attempts in flight for one account
}

func (a *app) Apply(ctx context.Context, c reset.Change) reset.Attempt {
	a.mu.Lock()
	a.ids = append(a.ids, c.ID)
	a.flying[c.Account.ID]++
	a.crowd = max(a.crowd, a.flying[c.Account.ID])
	slow, answer := a.slow, a.answer
	a.mu.Unlock()
	var said *reset.Attempt
	if answer != nil {
		said = answer(c)
	}
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flying[c.Account.ID]--
	if ctx.Err() != nil {
		return reset.Attempt{Verdict: reset.Retry, Err: ctx.Err()}
	}
	if said != nil {
		return *said
	}
	if a.applied[c.ID] > 0 {
		return reset.Attempt{Verdict: reset.Applied}
	}
	if c.Sequence < a.sequences[c.Account.ID] {
		return reset.Attempt{Verdict: reset.Superseded}
	}
	a.sequences[c.Account.ID], a.passwords[c.Account.ID] = c.Sequence, c.Password
	a.applied[c.ID]++
	return reset.Attempt{Verdict: reset.Applied}
}

func (a *app) say(answer func(reset.Change) *reset.Attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

func (a *app) down() {
	a.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: reset.Retry, Err: errors.New("503")} })
}

func (a *app) password(account string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.passwords[account]
}

func (a *app) changes() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.applied)
}

// delay makes the app take its time from now on.
func (a *app) delay(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slow = d
}

// mostAtOnce returns how many attempts for one account were in flight at most.
func (a *app) mostAtOnce() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.crowd
}

func (a *app) attempts() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ids)
}

func (a *app) distinctIDs() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := map[string]bool{}
	for _, i := range a.ids {
		ids[i] = true
	}
	return len(ids)
}
