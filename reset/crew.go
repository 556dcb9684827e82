package reset

import (
	"context"
	"sync"
)

// A crew is the goroutines of a service. Unlike a sync.WaitGroup it may be
// waited for while new ones start: requests go on while the service stops.
type crew struct {
	mu   sync.Mutex
	size int
	idle chan struct{} // closed when size comes back to 0; nil if nobody waits
}

func (c *crew) start(fn func()) {
	c.mu.Lock()
	c.size++
	c.mu.Unlock()
	go func() {
		defer c.leave()
		fn()
	}()
}

func (c *crew) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.size--; c.size == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// wait returns when nobody is at work or ctx ends.
func (c *crew) wait(ctx context.Context) {
	c.mu.Lock()
	if c.size == 0 {
		c.mu.Unlock()
		return
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
