package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	// inventoryAge is how long what waits is remembered: counting it reads each
	// job, and whoever scrapes often must not slow the workers down.
	inventoryAge = 10 * time.Second

	// inventoryWait is how long a scrape waits for that count. A disk that hangs
	// must not hide all other metrics, when they are needed most.
	inventoryWait = time.Second

	// inventoryStale is from what age on it is no longer told instead.
	inventoryStale = time.Minute
)

// An inventory is what is seen of a store at one time.
type inventory struct {
	open   bool
	size   int64 // 0 if it is not known
	queues []reset.Backlog
}

// lookAtStore opens nothing: where nobody has the store open, that is what is to
// be told.
func (a *App) lookAtStore(ctx context.Context) (i inventory) {
	defer a.survive("counting the queues")
	a.mu.Lock()
	service, store := a.service, a.servedBy
	a.mu.Unlock()
	if service == nil {
		return inventory{}
	}
	release, err := a.store.hold(store)
	if err != nil {
		return inventory{}
	}
	defer release()
	queues, err := service.Backlog(ctx)
	if err != nil {
		return inventory{}
	}
	i = inventory{open: true, queues: queues}
	if s, ok := store.inner.(interface{ Size() (int64, error) }); ok {
		if i.size, err = s.Size(); err != nil {
			i.size = 0
		}
	}
	return i
}

// An inventoryCache keeps an inventory for a while. One look at a time is enough for
// all who ask.
type inventoryCache struct {
	mu      sync.Mutex
	seen    inventory
	at      time.Time
	looking chan struct{} // closed at the end of the look that is under way
}

// get returns what look has seen lately, or what it sees now. If that takes
// long, what was seen within the last minute is told, and if there is nothing,
// that the store does not answer.
func (c *inventoryCache) get(look func(context.Context) inventory) inventory {
	c.mu.Lock()
	if !c.at.IsZero() && time.Since(c.at) < inventoryAge {
		defer c.mu.Unlock()
		return c.seen
	}
	done := c.looking
	if done == nil {
		done = make(chan struct{})
		c.looking = done
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), inventoryAge)
			defer cancel()
			seen := look(ctx)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.seen, c.at, c.looking = seen, time.Now(), nil
			close(done)
		}()
	}
	c.mu.Unlock()

	patience := time.NewTimer(inventoryWait)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) > inventoryStale {
		return inventory{}
	}
	return c.seen
}
