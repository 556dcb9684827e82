package main

import (
	"context"
	"sync"
	"time"
)

// A crowd is a load that can be held back: what has begun goes on, and nothing
// else begins.
type crowd struct {
	held  sync.RWMutex // locked while nothing begins
	ended bool
	done  chan struct{}

	sample
	err error
}

// gather has a load wait to begin. One without connections never does.
func gather(ctx context.Context, l load) *crowd {
	c := &crowd{done: make(chan struct{})}
	c.held.Lock()
	request := l.request
	l.request = func(n int) []byte {
		c.held.RLock()
		ended := c.ended
		c.held.RUnlock()
		if ended {
			return nil
		}
		return request(n)
	}
	go func() {
		defer close(c.done)
		if l.connections > 0 {
			c.sample, c.err = l.run(ctx, time.Hour)
		}
	}()
	return c
}

func (c *crowd) begin() { c.held.Unlock() }

func (c *crowd) pause() { c.held.Lock() }

// end waits until all have their answer. The crowd must be paused.
func (c *crowd) end() *crowd {
	c.ended = true
	c.held.Unlock()
	<-c.done
	return c
}
